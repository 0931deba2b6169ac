"""What a model's server said, made fit to be shown and logged: no key, no image, no echo of the request, short."""

from __future__ import annotations

import re

LONGEST = 300  # characters: a sentence or two

_KEY = re.compile(r"\b(?:sk|pk|gsk|xai|hf)[-_][\w*.…-]{6,}|\bBearer\s+\S+|\bAIza[\w-]{8,}", re.IGNORECASE)
_IMAGE = re.compile(r"data:image/[\w.+-]+;base64,[\w+/=]*|[\w+/]{120,}={0,2}")
_ECHO = re.compile(r"""["']input["']\s*:.*|\binput_value=.*""", re.DOTALL)  # validators repeat what they refuse
_TAG = re.compile(r"<[^<>]*>")


_SECRET = 8  # characters; a shorter key, such as "none" or "local", is a word that may stand in any sentence


def clean(text: str, *, secret: str = "") -> str:
    """One line of at most 300 characters. `secret`: the key in use, which some servers repeat."""
    text = text[: 20 * LONGEST]  # nobody's error page is worth more work
    if len(secret) >= _SECRET:
        text = text.replace(secret, "[key]")
    text = _ECHO.sub("", _IMAGE.sub("[image]", _KEY.sub("[key]", text)))
    line = " ".join(_TAG.sub(" ", text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def said(body: object) -> str:
    """The message in the body of an error, in the forms that servers use; text that is none of them as it is."""
    match body:
        case {"error": {"message": str(message)}} | {"message": str(message)}:
            return message
        case {"error": str(message)} | {"detail": str(message)}:
            return message
        case {"detail": [*problems]}:  # FastAPI: {loc, msg, input}, and the input may be the page
            return "; ".join(
                str(problem["msg"]) for problem in problems if isinstance(problem, dict) and "msg" in problem
            )
        case str(text):
            return text
        case _:
            return ""

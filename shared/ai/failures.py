"""Failed calls sorted by what happens next: the only place that knows the model library's errors.

busy: the server asks to wait (429), which the whole fleet is told. down: no answer, or a 5xx. stop: nothing can
succeed until a person acts. refused: this request can never succeed.
"""

from __future__ import annotations

import re
from typing import Literal

import openai

from shared.ai import ratelimits, wording
from shared.errors import FleetError, Refused, RetryLater, Stop
from shared.limiter import Limits, Result

Kind = Literal["busy", "down", "stop", "refused"]

_NO_MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_FILTERED = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})
_FLAGGED = re.compile(r"\bflagged\b|\bmoderation\b", re.IGNORECASE)  # OpenRouter: a 403 that is about the page
_FOR_A_PERSON = re.compile(
    r"\bapi.?key\b|credit balance|invalid model name"
    r"|\bmodel\b.{0,80}\b(?:not found|not exist|not available|unknown)",
    re.IGNORECASE | re.DOTALL,
)
_CHECK = "check OPENAI_API_KEY, PAGE_MODEL and SUMMARY_MODEL"
_WHAT_TO_DO = {
    401: "check OPENAI_API_KEY",
    402: "top up the account of OPENAI_API_KEY",
    403: "check what OPENAI_API_KEY may do",
    404: "check OPENAI_BASE_URL, PAGE_MODEL and SUMMARY_MODEL",
    405: "check OPENAI_BASE_URL",
    429: "top up the account of OPENAI_API_KEY",
}


class CallFailed(Exception):
    """A call that brought no answer.

    `ours`: it is about the way we asked, which is changed now. `counted` is the limiter's to say: an outage is no
    page's fault.
    """

    def __init__(
        self,
        sentence: str,
        *,
        kind: Kind,
        status: int = 0,
        param: str = "",
        retry_after_s: float | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.status = status
        self.param = param
        self.retry_after_s = retry_after_s
        self.limits = limits
        self.ours = False
        self.counted = False

    @property
    def result(self) -> Result:
        """What the limiter is told."""
        kind = "refused" if self.ours else self.kind
        return Result(kind=kind, retry_after_s=self.retry_after_s, limits=self.limits, reason=str(self))

    @property
    def error(self) -> FleetError:
        """What the handler's caller is told."""
        if self.kind == "stop":
            return Stop(str(self))
        if self.kind == "refused":
            return Refused(str(self))
        return RetryLater(str(self), after=self.retry_after_s, counted=self.kind == "down" and self.counted)


def sort(error: Exception, *, server: str, secret: str) -> CallFailed:
    """`server`: where the call went, `secret`: its key, which no sentence may show."""
    if not isinstance(error, openai.APIStatusError):
        root = _root(error)
        why = wording.clean(str(root), secret=secret)
        return CallFailed(
            f"The model's server {server} gave no answer: {type(root).__name__} {why}".rstrip(), kind="down"
        )
    status, code, param = error.status_code, error.code or "", error.param or ""
    words = wording.clean(wording.said(error.body), secret=secret)
    kind = judge(status, code=code, kind=error.type or "", param=param, words=words)
    sentence = f"The model's server {server} answered {status}: {words or 'nothing more'}"
    if kind == "stop":
        sentence = f"{sentence.rstrip('.')}; {_WHAT_TO_DO.get(status, _CHECK)}"
    waits = kind in ("busy", "down")
    return CallFailed(
        sentence,
        kind=kind,
        status=status,
        param=param,
        retry_after_s=ratelimits.retry_after_s(error.response.headers, words) if waits else None,
        limits=ratelimits.limits(error.response.headers),
    )


def judge(status: int, *, code: str, kind: str, param: str, words: str) -> Kind:
    """What an error answer means. `code`, `kind` ("type") and `param` as OpenAI's error object has them, or empty."""
    if code in _FILTERED or kind in _FILTERED:
        return "refused"
    if status == 429:
        return "stop" if _NO_MONEY & {code, kind} else "busy"
    if status >= 500 or status in (408, 409, 425, 499):
        return "down"
    if status == 403 and _FLAGGED.search(words):
        return "refused"
    if status in (401, 402, 403, 404, 405, 410) or code == "model_not_found" or param == "model":
        return "stop"
    return "stop" if _FOR_A_PERSON.search(words) else "refused"


def _root(error: BaseException) -> BaseException:
    """The error beneath the library's wrappers, which call a closed connection a time-out."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error

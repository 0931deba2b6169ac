"""How clients name things: job ids, users, idempotency keys. Pure."""

from __future__ import annotations

import uuid

from services.gateway.problems import Problem

USER_CHARS = 200
KEY_CHARS = 255


def job_id(asked: str | None, idempotency_key: str | None, *, tenant: str) -> str:
    """The job's id: the client's, else that of its Idempotency-Key, else a new one. Raises Problem."""
    if asked:
        canonical = as_uuid(asked)
        if canonical is None:
            raise Problem("invalid-field", f"job_id {asked[:80]!r} is not a UUID: send one, or leave it out.")
        return canonical
    if idempotency_key is None:
        return str(uuid.uuid4())
    if not 1 <= len(idempotency_key) <= KEY_CHARS:
        raise Problem(
            "invalid-field",
            f"Idempotency-Key has {len(idempotency_key)} characters: send 1 to {KEY_CHARS}.",
            limit_characters=KEY_CHARS,
        )
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant}:{idempotency_key}"))


def as_uuid(text: str) -> str | None:
    """The UUID in its canonical form (lower case, with hyphens), None if it is none."""
    if len(text) not in (32, 36):  # uuid.UUID would take braces and urn: too
        return None
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return None


def ref(canonical_id: str, *, tenant: str) -> str:
    """The job's name inside the fleet."""
    return f"{tenant}/{canonical_id}"


def known_ref(text: str, *, tenant: str) -> str:
    """The tenant's job that an address names: another tenant's has another name, and is not found.

    Raises Problem (404) for what can be no job id.
    """
    canonical = as_uuid(text)
    if canonical is None:
        raise unknown_job(text)
    return ref(canonical, tenant=tenant)


def unknown_job(text: str) -> Problem:
    return Problem(
        "unknown-job", f"There is no job {text[:80]!r}: look at the job_id that its submission was answered with."
    )


def user(asked: str | None) -> str:
    """The user label. Raises Problem."""
    if asked and len(asked) > USER_CHARS:
        raise Problem(
            "invalid-field",
            f"user_id has {len(asked)} characters: send up to {USER_CHARS}.",
            limit_characters=USER_CHARS,
        )
    return asked or ""

"""Everything that can go wrong for a client, by name: RFC 9457 problem details.

`type` is `/errors/<slug>`; each slug has a section in `docs/errors.md`. `detail` is a sentence with the value that was
met and what to do; the numbers in it stand beside it as members of their own.
"""

from __future__ import annotations

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """One sort of problem."""

    status: int
    title: str


KINDS: dict[str, Kind] = {
    "bad-json": Kind(400, "The body is not valid JSON"),
    "bad-form": Kind(400, "The multipart body cannot be read"),
    "incomplete-body": Kind(400, "The body ended too early"),
    "unauthorized": Kind(401, "An API key is needed"),
    "foreign-origin": Kind(403, "Pages of this origin may not use the gateway"),
    "unknown-route": Kind(404, "There is nothing at this address"),
    "unknown-job": Kind(404, "No such job"),
    "no-audio": Kind(404, "This document has no narration"),
    "audio-failed": Kind(404, "The summary could not be spoken"),
    "wrong-method": Kind(405, "This address does not take this method"),
    "body-timeout": Kind(408, "The body stopped arriving"),
    "job-exists": Kind(409, "The job id is taken by other content"),
    "audio-not-ready": Kind(409, "The narration is not there yet"),
    "audio-gone": Kind(410, "The narration is no longer stored"),
    "body-too-large": Kind(413, "The body is too large"),
    "image-too-large": Kind(413, "A page image is too large"),
    "too-many-pages": Kind(413, "The document has too many pages"),
    "unsupported-type": Kind(415, "This content type is not read here"),
    "range-not-satisfiable": Kind(416, "The range holds no byte of the narration"),
    "foreign-host": Kind(421, "The gateway does not answer to this name"),
    "invalid-field": Kind(422, "A field does not hold what it should"),
    "unknown-option": Kind(422, "This option is not known"),
    "no-images": Kind(422, "There are no page images"),
    "bad-image": Kind(422, "A page image cannot be used"),
    "page-count-mismatch": Kind(422, "num_pages and the images disagree"),
    "not-a-pdf": Kind(422, "The upload is not a PDF"),
    "too-many-requests": Kind(429, "The key sends too many requests"),
    "too-many-active-jobs": Kind(429, "The key has too many active jobs"),
    "pages-used-up": Kind(429, "The key has no pages left for today"),
    "refused": Kind(400, "The request was refused"),
    "internal": Kind(500, "The gateway has a bug"),
    "overloaded": Kind(503, "The fleet has too much to do"),
    "stopping": Kind(503, "This gateway is being stopped"),
    "redis-unavailable": Kind(503, "The job store does not answer"),
    "storage-unavailable": Kind(503, "The blob store cannot be written or read"),
}


class Problem(Exception):
    """Ends the request with this answer.

    `slug`: one of KINDS. `members`: further members of the answer, mostly the numbers of the sentence.
    `headers`: such as Allow. `retry_after_s`: seconds after which it is worth trying again.
    """

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
        **members: int | float | str,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.status = status or KINDS[slug].status
        self.members = members
        self.headers = dict(headers or {})
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(retry_after_s)
            self.members["retry_after_s"] = retry_after_s

    def body(self, *, request_id: str = "") -> bytes:
        """The answer's JSON. `request_id`: whose it is, where that is known."""
        return msgspec.json.encode(
            {
                "type": f"/errors/{self.slug}",
                "title": KINDS[self.slug].title,
                "status": self.status,
                "detail": self.detail,
                **self.members,
                **({"request_id": request_id} if request_id else {}),
            }
        )

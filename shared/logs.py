"""Log lines: JSON for machines or text for people. Job, page and entry come by themselves from context.

Every line has a stable `action` key (`extra={"action": "page_read"}`); no secret and no page content is ever logged.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

_context: ContextVar[dict[str, object]] = ContextVar("log_context", default={})  # noqa: B039 - never mutated
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


@contextmanager
def context(**fields: object) -> Iterator[None]:
    """Lines logged inside carry these fields."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def carry(**fields: object) -> None:
    """Lines logged in the rest of this task, and in tasks that it starts, carry these fields."""
    _context.set({**_context.get(), **fields})


def _fields(record: logging.LogRecord) -> dict[str, object]:
    extra = {key: value for key, value in vars(record).items() if key not in _PLAIN}
    return {**_context.get(), **extra}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, service, action, message, then context and extra fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


class TextFormatter(logging.Formatter):
    """`12:00:01 info  page_worker  page read  job=… page=7`."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        line = f"{clock} {record.levelname.lower():7} {self._service:11} {record.getMessage()}  {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(service: str, *, level: str, style: str) -> None:
    """Send all log lines of this process to standard error. Raises ValueError for an unknown level or style."""
    if style not in ("json", "text"):
        raise ValueError(f"LOG_FORMAT: expected json or text, got {style!r}")
    if level.upper() not in logging.getLevelNamesMapping():
        raise ValueError(f"LOG_LEVEL: expected DEBUG, INFO, WARNING or ERROR, got {level!r}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service) if style == "json" else TextFormatter(service))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for noisy in ("httpx2", "httpcore2", "openai", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

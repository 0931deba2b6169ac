"""How fast a job goes, and what is worth a line about it. Pure."""

from __future__ import annotations

from collections import deque

from cli import wording
from cli.wire import Status

_WINDOW_S = 10.0  # long enough to be steady, short enough to show a slow-down


class Pace:
    """Pages a second over the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, now_s: float, ended: int) -> float:
        """Note how many pages have ended at this moment; returns the pace."""
        self._seen.append((now_s, ended))
        while now_s - self._seen[0][0] > _WINDOW_S and len(self._seen) > 2:
            self._seen.popleft()
        since_s, before = self._seen[0]
        return (ended - before) / (now_s - since_s) if now_s > since_s else 0.0


class Milestones:
    """One line when the stage changes and at each quarter of the pages: for logs and pipes."""

    def __init__(self) -> None:
        self._stage = ""
        self._quarter = 0

    def line(self, status: Status, pace: float) -> str:
        """A line worth printing, or empty."""
        quarter = 4 * status.current_page // status.total_pages if status.total_pages else 0
        if status.ended or (status.status == self._stage and quarter <= self._quarter):
            return ""
        self._stage, self._quarter = status.status, quarter
        return describe(status, pace)


def describe(status: Status, pace: float) -> str:
    """`processing: 28 of 113 pages, 1 of 5 batches, 12.3 pages/s, 7 s left, $0.0123`."""
    if not status.total_pages:
        return status.status
    parts = [
        f"{status.current_page:,} of {wording.counted(status.total_pages, 'page')}",
        f"{status.batches.completed} of {status.batches.total} batches",
    ]
    if pace and not status.ended:
        parts.append(f"{pace:.1f} pages/s")
    if status.estimated_seconds_remaining is not None:
        parts.append(f"{wording.duration(status.estimated_seconds_remaining)} left")
    if status.pages.failed:
        parts.append(f"{status.pages.failed:,} failed")
    parts.append(wording.cost(status.usage.cost_usd))
    return f"{status.status}: {', '.join(parts)}"

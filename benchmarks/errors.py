"""What ends a benchmark without a table."""

from __future__ import annotations


class BenchmarkError(Exception):
    """Something could not be started, or what was timed was not right. The message is a sentence for its user."""

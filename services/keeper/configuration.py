"""What the keeper's environment can set."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from shared.settings import Settings

DAY_MS = 86_400_000


class KeeperSettings(Settings, frozen=True, kw_only=True, rename="upper"):
    """What the keeper needs on top."""

    retention_days: Annotated[float, msgspec.Meta(ge=0, le=36_500)] = 30
    """An ended job, its document and its results are kept so long after its end (its narration's, if that is later).
    So long, and a day at least, is also kept what was uploaded and never became a job. 0: for ever, that is until
    somebody removes them; at most a hundred years. The keeper tells the scripts: no other service has to know it."""

    @property
    def retention_ms(self) -> int:
        return math.ceil(self.retention_days * DAY_MS)

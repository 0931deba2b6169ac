"""What the keeper's environment can set."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.settings import Settings

DAY_MS = 86_400_000


class KeeperSettings(Settings, frozen=True, kw_only=True, rename="upper"):
    """What the keeper needs on top."""

    retention_days: Annotated[float, msgspec.Meta(ge=0)] = 30
    """An ended job, its document and its results are kept so long after its end (its narration's, if that is later).
    0: for ever, that is until somebody removes them. The keeper tells the scripts: no other service has to know it."""

    @property
    def retention_ms(self) -> int:
        return round(self.retention_days * DAY_MS)

"""How large a soak is, and with which numbers its fleet runs."""

from __future__ import annotations

import msgspec

PAGE_MODEL, SUMMARY_MODEL, VOICE_MODEL = "eyes", "pen", "voice"
LATENCY_S = (0.2, 0.8)
"""Of the model when it is well."""
CALL_S = 10
"""LLM_TIMEOUT_S and TTS_TIMEOUT_S: a hanging model is noticed within a storm."""
GRACE_S = 5
"""Below the slowest calls, so that a drain now and then has to give back what it holds."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Of a soak."""

    counts: dict[str, int]
    """Service -> processes of it."""
    lease_s: float
    open_jobs: int
    """Documents that are under way at once, at most."""
    longest: int
    """Pages of the longest document."""
    slots: int = 8
    """PAGE_CONCURRENCY."""
    rpm: int = 1200
    """LLM_RPM, for each model."""
    quiet_s: float = 180
    """How long everything may take to end when all faults are over."""

    def environment(self) -> dict[str, str]:
        """What every process of the fleet is told."""
        return {
            "OPENAI_API_KEY": "sk-test",
            "PAGE_MODEL": PAGE_MODEL,
            "SUMMARY_MODEL": SUMMARY_MODEL,
            "TTS_MODEL": VOICE_MODEL,
            "LLM_RPM": str(self.rpm),
            "LLM_TIMEOUT_S": str(CALL_S),
            "TTS_TIMEOUT_S": str(CALL_S),
            "GRACE_S": str(GRACE_S),
            "LEASE_S": str(self.lease_s),
            "PAGE_CONCURRENCY": str(self.slots),
        }

    def in_hand(self, service: str) -> int:
        """Calls to the model that one process of this service can have in flight."""
        return {"page_worker": self.slots, "aggregator": 32 + 8, "tts": 2 * 8}.get(service, 0)


FULL = Scale(
    counts={"gateway": 3, "splitter": 3, "page_worker": 6, "aggregator": 2, "tts": 2, "keeper": 2},
    lease_s=30,
    open_jobs=20,
    longest=120,
)
SMALL = Scale(
    counts={"gateway": 1, "splitter": 1, "page_worker": 2, "aggregator": 1, "tts": 1, "keeper": 1},
    lease_s=2,
    open_jobs=6,
    longest=30,
    quiet_s=60,
)

"""The chaos soak: a fleet under load and under faults, then quiet, then the promises. `make chaos SECONDS=600`."""

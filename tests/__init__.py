"""The tests: unit (no I/O), integration (real servers), acceptance (real processes)."""

"""Measures the fleet on two cores against fixed parameters: `python -m benchmarks` prints tables, no verdict."""

"""Plumbing that every service shares. Knows no service by name."""

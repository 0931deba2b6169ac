"""The fleet: one sub-package a process, started with `python -m services.<name>`. Siblings never import each other."""

"""Says whether requirements/*.txt fit pyproject.toml, offline: `make lint` runs it, `make lock` mends it."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PIN = re.compile(r"^([\w.-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(path: Path) -> dict[str, set[str]]:
    """The versions that a requirements file pins, by package; several where they differ by Python version."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(path.read_text()):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def direct(path: Path, source: str) -> set[str]:
    """The packages that a file holds because pyproject.toml asks for them, as uv notes below each."""
    names, name = set(), ""
    for line in path.read_text().splitlines():
        if match := PIN.match(line):
            name = canonicalize_name(match[1])
        elif line.strip().removeprefix("#").strip().removeprefix("via ") == source:
            names.add(name)
    return names


def complaints() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    fleet, dev, speech, servers = (ROOT / f"requirements/{name}.txt" for name in ("fleet", "dev", "speech", "servers"))
    found = []
    for path, source, wanted in (
        (fleet, "quire (pyproject.toml)", project["project"]["dependencies"]),
        (dev, "quire (pyproject.toml:dev)", project["dependency-groups"]["dev"]),
        (speech, "quire (pyproject.toml:speech)", project["dependency-groups"]["speech"]),
        (servers, "quire (pyproject.toml:servers)", project["dependency-groups"]["servers"]),
    ):
        pinned, name = pins(path), path.name
        requirements = {canonicalize_name(r.name): r for r in map(Requirement, wanted)}
        for package, requirement in requirements.items():
            versions = pinned.get(package, set())
            if not versions or not all(requirement.specifier.contains(version) for version in versions):
                has = ", ".join(sorted(versions)) or "none"
                found.append(f"pyproject.toml asks for {requirement}; requirements/{name} has {has}")
        found += [
            f"requirements/{name} has {package}, which pyproject.toml does not ask for"
            for package in sorted(direct(path, source) - requirements.keys())
        ]
    shared = pins(fleet)
    for path in (dev, speech):
        ours = pins(path)
        found += [
            f"{package} is pinned differently in requirements/fleet.txt and requirements/{path.name}"
            for package in sorted(shared.keys() & ours.keys())
            if not ours[package] <= shared[package]
        ]
    return found


if __name__ == "__main__":
    for complaint in (wrong := complaints()):
        print(complaint)
    if wrong:
        sys.exit("Run `make lock`.")
    print("Requirements fit pyproject.toml.")

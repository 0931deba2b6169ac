"""The house's rules that no linter knows."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import msgspec
import pytest

from shared.settings import ModelSettings, Settings

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/__main__.py"))
OF_THE_COMMAND = {"DATA_DIR", "QUIRE_URL", "QUIRE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"}
"""Variables that are no field of a settings struct: the command's own, and those that `openai` reads."""
MADE_BY_UP = {"PORT", "HOST"}


def kinds(kind: type[Settings]) -> set[type[Settings]]:
    return {kind}.union(*(kinds(child) for child in kind.__subclasses__()))


def variables() -> dict[str, set[str]]:
    """Every variable of every service, and its defaults (a gateway's PORT is not a worker's)."""
    for service in SERVICES:
        importlib.import_module(f"services.{service}.__main__")
    found: dict[str, set[str]] = {}
    for kind in kinds(Settings) - {Settings, ModelSettings}:
        for field in msgspec.structs.fields(kind):
            default = str(int(field.default) if isinstance(field.default, bool) else field.default)
            found.setdefault(field.encode_name, set()).add(default)
    return found


def example() -> dict[str, str]:
    lines = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    return dict(lines)


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    assert set(example()) == set(variables()) | OF_THE_COMMAND


@pytest.mark.parametrize("name", sorted(set(variables()) - MADE_BY_UP))
def test_the_example_shows_the_default(name: str) -> None:
    shown, defaults = example()[name], variables()[name]
    assert shown in defaults


def test_every_setting_is_explained() -> None:
    text = (ROOT / ".env.example").read_text()
    for name in example():
        line = text[: text.index(f"{name}=")].rstrip("#").rstrip("\n").splitlines()[-1]
        assert line.startswith(("# ", "#")), f"{name} has no line of words above it"
        assert len(line) > 5, f"{name} has no line of words above it"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_its_row_in_the_readme(service: str) -> None:
    assert f"`services/{service}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "services").glob("*/__init__.py")), ids=lambda p: p.parent.name)
def test_an_init_is_one_docstring_and_imports_nothing(path: Path) -> None:
    body = ast.parse(path.read_text()).body
    assert len(body) == 1
    assert isinstance(body[0], ast.Expr)


def test_no_room_is_large_without_a_reason() -> None:
    rooms = [path for folder in ("services", "shared", "cli") for path in (ROOT / folder).rglob("*.py")]
    assert not {str(path.relative_to(ROOT)): n for path in rooms if (n := len(path.read_text().splitlines())) > 300}


def test_there_is_one_broad_except_in_the_system() -> None:
    rooms = [path for folder in ("services", "shared", "cli") for path in (ROOT / folder).rglob("*.py")]
    broad = [path.name for path in rooms if re.search(r"except (Base)?Exception\b", path.read_text())]
    assert broad == ["work.py"]


LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


@pytest.mark.parametrize("document", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "ARCHITECTURE.md"], ids=lambda p: p.name)
def test_files_that_a_document_names_exist(document: Path) -> None:
    folders = "shared|services|cli|tests|benchmarks|docs|samples|requirements"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", document.read_text())
    missing = [name for name in named if not (ROOT / name).exists()]
    assert not missing

"""Problem details, and the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from services.gateway.problems import KINDS, Problem

ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "errors.md"


def test_a_problem_is_told_as_rfc_9457_has_it() -> None:
    problem = Problem("body-too-large", "The body has 7 bytes.", limit_bytes=5, retry_after_s=2)
    assert msgspec.json.decode(problem.body()) == {
        "type": "/errors/body-too-large",
        "title": "The body is too large",
        "status": 413,
        "detail": "The body has 7 bytes.",
        "limit_bytes": 5,
        "retry_after_s": 2,
    }
    assert problem.headers == {"Retry-After": "2"}


@pytest.mark.parametrize("slug", KINDS)
def test_each_problem_has_a_section_that_says_its_status(slug: str) -> None:
    section = re.search(rf"^## {slug}\n\n(.+?)(?=\n## |\Z)", DOC.read_text(), re.MULTILINE | re.DOTALL)
    assert section, f"docs/errors.md has no section {slug}"
    assert f"**{KINDS[slug].status}**" in section[1]
    assert KINDS[slug].title in section[1]


def test_no_section_tells_of_a_problem_that_does_not_exist() -> None:
    assert set(re.findall(r"^## (.+)$", DOC.read_text(), re.MULTILINE)) == set(KINDS)


def test_each_problem_is_raised_somewhere() -> None:
    source = "".join(path.read_text() for path in (ROOT / "services" / "gateway").glob("*.py"))
    assert [slug for slug in KINDS if source.count(f'"{slug}"') < 2] == []

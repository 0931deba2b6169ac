"""The JSON body, parsed as it streams in."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.parsing import Submission, check_image, decode, image_type
from services.gateway.problems import Problem

JPEG = b"\xff\xd8\xff\xe0 a page"
ENTRY = base64.b64encode(JPEG).decode()


def parse(body: bytes, *, piece: int = 7, max_image_bytes: int = 1_000_000) -> tuple[Submission, list[str]]:
    parser = Submission(max_image_bytes=max_image_bytes)
    images = []
    for first in range(0, len(body), piece):
        images += parser.feed(body[first : first + piece])
    parser.close()
    return parser, images


def problem(body: object, **limits: int) -> Problem:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Problem) as caught:
        parse(raw, **limits)
    return caught.value


FIELDS = {"job_id": "j", "user_id": "u", "num_pages": 2, "file_type": "pdf", "images_base64": ["AAAA", "BBBB"]}


@given(order=st.permutations(list(FIELDS)), piece=st.integers(1, 200))
def test_the_keys_may_come_in_any_order_and_in_any_pieces(order: list[str], piece: int) -> None:
    parser, images = parse(json.dumps({key: FIELDS[key] for key in order}).encode(), piece=piece)
    assert images == ["AAAA", "BBBB"]
    assert (parser.job_id, parser.user_id, parser.num_pages, parser.file_type) == ("j", "u", 2, "pdf")


def test_an_image_is_given_as_soon_as_it_is_complete() -> None:
    parser = Submission(max_image_bytes=1000)
    assert parser.feed(b'{"images_base64": ["AAAA"') == ["AAAA"]
    assert parser.feed(b', "BB') == []
    assert parser.feed(b'BB"') == ["BBBB"]


def test_unknown_keys_are_skipped_whatever_they_hold() -> None:
    body = {"later": {"images_base64": ["no"], "job_id": 7, "deep": [[{"a": []}]]}, "images_base64": ["AAAA"], "x": 1.5}
    parser, images = parse(json.dumps(body).encode())
    assert images == ["AAAA"]
    assert parser.job_id is None


def test_a_null_counts_as_left_out() -> None:
    parser, _ = parse(b'{"job_id": null, "num_pages": null, "images_base64": ["AAAA"]}')
    assert parser.job_id is None


@pytest.mark.parametrize(
    ("body", "slug", "told"),
    [
        (b"", "bad-json", "premature EOF"),
        (b'{"images_base64": ["AAAA"', "bad-json", "premature EOF"),
        (b'{"images_base64": ["AAAA"]} more', "bad-json", "trailing garbage"),
        (b'{"job_id": "\xff"}', "bad-json", "UTF8"),
        (b'{"num_pages": ' + b"9" * 5000 + b"}", "bad-json", "a number is too long"),
        (["AAAA"], "bad-json", "not a JSON object"),
        ("AAAA", "bad-json", "not a JSON object"),
        ({}, "no-images", "holds no image"),
        ({"images_base64": []}, "no-images", "holds no image"),
        ({"images_base64": "AAAA"}, "invalid-field", "not a list"),
        ({"images_base64": ["AAAA", 7]}, "bad-image", "Image 2 is not a string"),
        ({"images_base64": ["AAAA", ["BBBB"]]}, "bad-image", "Image 2 is not a string"),
        ({"images_base64": [None]}, "bad-image", "Image 1 is not a string"),
        ({"job_id": 7, "images_base64": ["AAAA"]}, "invalid-field", "job_id is not a text: it came as number"),
        ({"num_pages": "1", "images_base64": ["AAAA"]}, "invalid-field", "num_pages is not a whole number"),
        ({"num_pages": 1.0, "images_base64": ["AAAA"]}, "invalid-field", "num_pages is not a whole number"),
        ({"num_pages": True, "images_base64": ["AAAA"]}, "invalid-field", "num_pages is not a whole number"),
        ({"user_id": {"a": 1}, "images_base64": ["AAAA"]}, "invalid-field", "it came as map"),
        (b'{"images_base64": ["AAAA"], "images_base64": ["BBBB"]}', "invalid-field", "appears twice"),
        (
            {"num_pages": 3, "images_base64": ["AAAA"]},
            "page-count-mismatch",
            "num_pages is 3, but images_base64 holds 1",
        ),
    ],
)
def test_a_body_that_is_wrong_is_told_in_a_sentence(body: object, slug: str, told: str) -> None:
    found = problem(body)
    assert found.slug == slug
    assert told in found.detail


def test_a_string_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    found = problem(b'{"user_id": "' + b"x" * 200_000, piece=10_000, max_image_bytes=30_000)
    assert found.slug == "image-too-large"
    assert found.members["limit_bytes"] == 30_000


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        f"data:image/jpeg;base64,{ENTRY}",
        f"data:;base64,{ENTRY}",
        "\r\n".join(ENTRY[at : at + 6] for at in range(0, len(ENTRY), 6)),
    ],
)
def test_an_image_comes_as_base64_or_as_a_data_url(entry: str) -> None:
    assert decode(entry, 1) == JPEG


@pytest.mark.parametrize("entry", ["AAA", "A?==", "data:image/jpeg,AAAA", "data:image/jpeg;base64", "ähm!"])
def test_what_is_no_base64_is_refused_by_its_number(entry: str) -> None:
    with pytest.raises(Problem, match="Image 4 "):
        decode(entry, 4)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe1", "jpeg"),
        (b"\x89PNG\r\n\x1a\n...", "png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"GIF89a", "gif"),
        (b"II*\x00", "tiff"),
        (b"MM\x00*", "tiff"),
        (b"BM....", "bmp"),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_an_image_is_known_by_its_first_bytes(data: bytes, kind: str | None) -> None:
    assert image_type(data) == kind


def test_an_image_that_is_too_large_or_none_at_all_is_refused() -> None:
    check_image(JPEG, 1, max_bytes=len(JPEG))
    with pytest.raises(Problem, match="more than the 5 that are taken"):
        check_image(JPEG, 1, max_bytes=5)
    with pytest.raises(Problem, match="it begins with 25 50 44 46 2d"):
        check_image(b"%PDF-", 1, max_bytes=100)
    with pytest.raises(Problem, match="it begins with nothing"):
        check_image(b"", 1, max_bytes=100)

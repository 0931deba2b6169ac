"""A summary is cut into sentences and pieces, and the sound of the pieces into a timeline."""

from __future__ import annotations

import pytest

from services.tts import joining, mp3, sentences
from services.tts.sentences import BETWEEN_PARTS_S, BETWEEN_SENTENCES_S, PIECE_CHARS, Piece
from shared.results import Cited, DocumentSummary, Section, Segment

SUMMARY = DocumentSummary(
    title="The mill",
    title_pages=[1],
    abstract="It was built in 1840. It burned down.",
    abstract_pages=[1, 7],
    sections=[
        Section(heading="Beginnings", text="Dr. Smith built it.", pages=[2, 3]),
        Section(heading="***", text="**Nobody** knows why.", pages=[7]),
    ],
    key_points=[Cited(text="It is gone.", pages=[7]), Cited(text="—", pages=[8]), Cited(text="So is he.", pages=[9])],
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It burned! Why? Nobody knows…", ["It burned!", "Why?", "Nobody knows…"]),
        ('He said: "It burned." Then he left.', ['He said: "It burned."', "Then he left."]),
        ("Dr. J. Smith, e.g. Adam, was there. So was I.", ["Dr. J. Smith, e.g. Adam, was there.", "So was I."]),
        (
            "See Fig. 3 and No. 5. The answer is no. We left.",
            ["See Fig. 3 and No. 5.", "The answer is no.", "We left."],
        ),
        ("Version 2.5 is out. It costs 3.50 EUR.", ["Version 2.5 is out.", "It costs 3.50 EUR."]),
        ("one\n\n2. Two is *here*\n- `three`\n# Four", ["one", "2. Two is here", "three", "Four"]),
        ("See [the mill](https://mill.example/a). x_y * 3 * 4", ["See the mill. x_y * 3 * 4"]),
        ("これは文です。「引用です。」終わり", ["これは文です。", "「引用です。」", "終わり"]),
        ("So it went ... and on. Éric came.", ["So it went ... and on.", "Éric came."]),
        (" — \n***\n…", []),
        ("", []),
    ],
)
def test_a_text_is_split_where_its_sentences_end(text: str, found: list[str]) -> None:
    assert sentences.split(text) == found


def test_all_that_the_summary_says_is_spoken_in_order_and_nothing_else() -> None:
    spoken = sentences.of(SUMMARY)
    assert [(each.section, each.text, each.pages) for each in spoken] == [
        ("Title", "The mill", [1]),
        ("Abstract", "It was built in 1840.", [1, 7]),
        ("Abstract", "It burned down.", [1, 7]),
        ("Beginnings", "Beginnings", [2, 3]),
        ("Beginnings", "Dr. Smith built it.", [2, 3]),
        ("***", "Nobody knows why.", [7]),
        ("Key points", "It is gone.", [7]),
        ("Key points", "So is he.", [9]),
    ]
    long, short = BETWEEN_PARTS_S, BETWEEN_SENTENCES_S
    assert [each.pause_s for each in spoken] == [0, long, short, long, short, long, long, short]


def test_a_summary_of_nothing_has_no_sentence() -> None:
    empty = DocumentSummary(title="", title_pages=[], abstract=" ", abstract_pages=[], sections=[], key_points=[])
    assert sentences.of(empty) == []


def test_a_sentence_is_one_piece() -> None:
    spoken = sentences.of(SUMMARY)
    assert sentences.pieces(spoken) == [Piece(each.text, place) for place, each in enumerate(spoken)]


@pytest.mark.parametrize(
    ("text", "most", "parts"),
    [
        ("short", 5, ["short"]),
        ("one two, three four", 14, ["one two,", "three four"]),
        ("one two three four", 14, ["one two three", "four"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("一二三、四五六七", 6, ["一二三、", "四五六七"]),
    ],
)
def test_a_sentence_that_is_too_long_is_cut_at_a_clause_a_word_or_anywhere(
    text: str, most: int, parts: list[str]
) -> None:
    assert sentences.cut(text, most) == parts


@pytest.mark.parametrize("text", ["word " * 3000, "clause, " * 2000, "x" * 9001, "語" * 5000])
def test_no_piece_is_too_long_and_no_letter_is_lost(text: str) -> None:
    parts = sentences.cut(text.strip(), PIECE_CHARS)
    assert max(map(len, parts)) <= PIECE_CHARS
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_the_timeline_says_exactly_which_second_belongs_to_which_sentence() -> None:
    first, second = (
        sentences.Sentence(text=text, section="Abstract", pages=[page], pause_s=pause_s)
        for text, page, pause_s in (("One, two.", 1, 0.0), ("Three.", 2, 0.5))
    )
    pieces = [Piece("One,", 0), Piece("two.", 0), Piece("Three.", 1)]
    assert joining.pauses([first, second], pieces) == [0, 0, 12_000]
    found = joining.timeline([first, second], pieces, [24_000, 12_000, 24_001])
    assert found.segments == [
        Segment(start_s=0, end_s=1.5, text="One, two.", section="Abstract", pages=[1]),
        Segment(start_s=2.0, end_s=3.0, text="Three.", section="Abstract", pages=[2]),
    ]
    assert found.duration_s == 3.0


def test_a_timeline_does_not_drift() -> None:
    """An hour of sentences whose lengths are no whole milliseconds."""
    spoken = [
        sentences.Sentence(text="x", section="s", pages=[], pause_s=0.35 if place else 0.0) for place in range(1000)
    ]
    pieces = sentences.pieces(spoken)
    found = joining.timeline(spoken, pieces, [86_411] * 1000)
    assert found.segments[-1].end_s == round((86_411 * 1000 + 8400 * 999) / 24_000, 3) == found.duration_s
    assert all(one.end_s <= next_.start_s for one, next_ in zip(found.segments, found.segments[1:], strict=False))


def test_an_mp3_has_constant_frames_of_the_length_of_its_sound() -> None:
    encoder = mp3.Encoder()
    made = b"".join([*(encoder.encode(joining.silence(7_919)) for _ in range(60)), encoder.finish()])
    assert made[:2] == b"\xff\xf3", "MPEG 2, layer III: 24,000 samples a second"
    seconds = len(made) * 8 / (mp3.KBIT_S * 1000)
    assert abs(seconds - 60 * 7_919 / 24_000) < 0.15, "the encoder's own lead and tail"

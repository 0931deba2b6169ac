"""How the built-in model reads a page from its text layer."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.local_model import languages, lines, reading, sentences
from services.local_model.sources import NO_TEXT

CHAPTER = """\
14
5 Arrays and matrices
5.1 Arrays
An array can be considered as a multiply subscripted collection of data entries, for exam-
ple numeric. R allows simple facilities for creating and handling arrays, and in particular the
special case of matrices.
A dimension vector is a vector of non-negative integers. If its length is k then the array is k-
dimensional, e.g. a matrix is a two-dimensional array. The dimensions are indexed from one
up to the values given in the dimension vector.
The vector is given its dimensions by the assignment
> dim(z) <- c(3,5,100)
> z
[1] 1 2 3 4 5
5.2 Array indexing
Individual elements of an array may be referenced by giving the name of the array followed
by the subscripts in square brackets, separated by commas. Subsections are taken in this way:
• by a sequence of index vectors in place of the subscripts,
• by an empty position, which stands for the whole range of that subscript and so takes
all of it.
1. Choose the positions.
2. Give them in brackets."""

COVER = """\
An Introduction to Arrays
Notes on a Language
Version 4.2
W. N. Author and D. M. Writer"""

CONTENTS = """\
Table of Contents
1 Introduction . . . . . . . . . . . . . . . . . . . 2
1.1 The environment. . . . . . . . . . . . . . . . . 2
1.2 Related software . . . . . . . . . . . . . . . . 5
2 Simple manipulations; numbers and vectors . . 8
2.1 Vectors and assignment . . . . . . . . . . . . . 8"""

INDEX = """\
Appendix E Concept index
A
Additive models . . . . . . . . . . . . 67
Arrays . . . . . . . . . . . . . . . . 20, 22
B
Binary operators . . . . . . . . . . . 46
Box plots . . . . . . . . . . . . . . . 40
C
Character vectors . . . . . . . . . . . 11"""


def test_paragraphs_are_joined_and_words_broken_at_line_ends_are_mended() -> None:
    text = reading.read(CHAPTER, page=20).text
    assert "collection of data entries, for example numeric. R allows simple facilities" in text
    assert "the array is kdimensional" not in text


def test_numbered_headings_become_markdown_headings_and_the_path_at_the_pages_end() -> None:
    page = reading.read(CHAPTER, page=20)
    assert page.text.startswith("# 5 Arrays and matrices\n\n## 5.1 Arrays\n\n")
    assert "\n\n## 5.2 Array indexing\n\n" in page.text
    assert page.headings == ["5 Arrays and matrices", "5.2 Array indexing"]


def test_code_and_its_output_stand_in_a_fence_and_lists_stay_lists() -> None:
    text = reading.read(CHAPTER, page=20).text
    assert "```\n> dim(z) <- c(3,5,100)\n> z\n[1] 1 2 3 4 5\n```" in text
    assert "- by a sequence of index vectors in place of the subscripts,\n- by an empty position, which stands" in text
    assert "and so takes all of it.\n1. Choose the positions.\n2. Give them in brackets." in text


def test_summary_and_key_points_are_different_sentences_of_the_page() -> None:
    page = reading.read(CHAPTER, page=20)
    said = [*sentences.split(page.summary), *page.key_points]
    assert 3 <= len(said) == len(set(said))
    assert all(sentence in page.text for sentence in said)
    assert not any("c(3,5,100)" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("first", "path"),
    [
        ("Chapter 5: Arrays and matrices 24", ["5 Arrays and matrices"]),
        ("24 CHAPTER 5. ARRAYS AND MATRICES", ["5 Arrays And Matrices"]),
        ("5.2. ARRAY INDEXING 24", ["5.2 Array Indexing"]),
        ("Notes on Arrays 24 / 58", ["Notes on Arrays"]),
        ("Page 24 of 58", []),
        ("xii", []),
    ],
)
def test_running_heads_and_page_numbers_are_taken_off_and_tell_the_chapter(first: str, path: list[str]) -> None:
    body = (
        "the elements are stored by column. Nothing is copied until a value is changed.\nA second line follows here.\n"
    )
    page = reading.read(f"{first}\n{body}", page=30)
    assert page.text.startswith("the elements are stored by column.")
    assert page.headings == path


def test_a_sentence_that_begins_a_page_is_not_taken_for_a_running_head() -> None:
    page = reading.read(
        "as was shown by the measurements in 1987\nwhich were repeated.\nNothing else was found.\n", page=7
    )
    assert "measurements in 1987 which were repeated." in page.text


@pytest.mark.parametrize(
    ("text", "number", "kind"),
    [(COVER, 1, "cover"), (CONTENTS, 3, "contents"), (INDEX, 90, "index"), (CHAPTER, 20, "text")],
)
def test_the_kind_of_a_page_is_told(text: str, number: int, kind: str) -> None:
    assert reading.read(text, page=number).kind == kind


def test_a_cover_gives_the_documents_title() -> None:
    page = reading.read(COVER, page=1)
    assert page.headings == ["An Introduction to Arrays"]
    assert page.text.startswith("# An Introduction to Arrays\n\nNotes on a Language\n\nVersion 4.2\n\n")


def test_a_contents_page_says_what_it_lists_and_has_no_headings_of_chapters() -> None:
    page = reading.read(CONTENTS, page=3)
    assert "- 2 Simple manipulations; numbers and vectors . . 8" in page.text.replace(" … ", " . . ")
    assert page.summary == "Table of contents with 5 entries, from “1 Introduction” to “2.1 Vectors and assignment”."
    assert page.headings == ["Table of Contents"]


@pytest.mark.parametrize("text", ["", " \n\t\n", "•\n–"])
def test_without_a_text_layer_nothing_is_invented(text: str) -> None:
    page = reading.read(text, page=4)
    assert (page.text, page.key_points, page.kind, page.confidence, page.language) == ("", [], "other", 0.0, "und")
    assert page.summary == NO_TEXT


def test_a_page_number_alone_is_not_called_a_text() -> None:
    page = reading.read("– 12 –\n", page=12)
    assert (page.text, page.summary, page.kind) == ("", reading.ONLY_FURNITURE, "other")
    assert page.confidence < 0.5


def test_aligned_columns_become_a_table_with_its_caption() -> None:
    text = "Table 2: Harbours\nHarbour  Ships  Tons\nKiel  120  4,000\nBrest  88  2,100\nBoth harbours are busy.\n"
    page = reading.read(text, page=5)
    (table,) = page.tables
    assert table.caption == "Table 2: Harbours"
    assert table.markdown.splitlines() == [
        "| Harbour | Ships | Tons |",
        "| --- | --- | --- |",
        "| Kiel | 120 | 4,000 |",
        "| Brest | 88 | 2,100 |",
    ]
    assert table.markdown in page.text


def test_a_figures_caption_is_told_and_its_content_is_not_made_up() -> None:
    page = reading.read(
        "Some words stand before it, and they make a line.\nFigure 3: Ships by year\nMore words stand below it.\n",
        page=5,
    )
    assert [figure.caption for figure in page.figures] == ["Figure 3: Ships by year"]
    assert page.figures[0].description == reading.NOT_SEEN


def test_confidence_is_never_full_and_falls_with_odd_characters() -> None:
    assert reading.read(CHAPTER, page=20).confidence == 0.9
    assert reading.read(CHAPTER.replace("e", "\ufffd"), page=20).confidence < 0.6


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("pack\x02ages", "packages"),
        ("S\x02Plus", "S-Plus"),
        ("pack-\r\nages", "packages"),
        ("R-\nbased", "R-\nbased"),
        ("soft\u00ad\nware", "software"),
        ("o\ufb03ce", "office"),
        ("Copyright \rc 1990", "Copyright c 1990"),
    ],
)
def test_line_ends_ligatures_and_controls_are_mended(broken: str, mended: str) -> None:
    assert "\n".join(lines.tidy(f"{broken}\n")) == f"{mended}\n"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The house is old and it stands in the middle of a park.", "en"),
        ("Das Haus ist alt und steht in der Mitte von einem Park.", "de"),
        ("La maison est vieille et elle se trouve au milieu du parc.", "fr"),
        ("La casa es vieja y está en el centro de un parque para todos.", "es"),
        ("これは古い家です。公園の中にあります。", "ja"),
        ("Kyrie eleison", "und"),
        ("", "und"),
    ],
)
def test_the_language_is_voted_by_its_common_words(text: str, language: str) -> None:
    assert languages.guess(text) == language


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It is so, e.g. here. Next.", ["It is so, e.g. here.", "Next."]),
        ("By W. N. Venables. It is good.", ["By W. N. Venables.", "It is good."]),
        ("See Appendix A. This helps.", ["See Appendix A.", "This helps."]),
        ("They are the same.3 There is more.", ["They are the same.", "There is more."]),
        ("ASN.1 is a notation. It is used.", ["ASN.1 is a notation.", "It is used."]),
        ("Es gilt z.B. Folgendes. Gut.", ["Es gilt z.B. Folgendes.", "Gut."]),
        ("彼は来た。私は行った。", ["彼は来た。", "私は行った。"]),
    ],
)
def test_sentences_are_cut_where_they_end(text: str, found: list[str]) -> None:
    assert sentences.split(text) == found


@pytest.mark.parametrize(
    "unit", [".", ". ", "a.", "- ", " ", "\n", "a/", "(", "#", "1 A\n", "Chapter 1\n", "a\t", "\x02"]
)
def test_a_hostile_page_does_not_hold_up_the_others(unit: str) -> None:
    began = time.perf_counter()
    reading.read((unit * 20_000)[:20_000], page=1)
    assert time.perf_counter() - began < 2


WORDS = st.sampled_from(
    ["1", "Chapter", "The", "array", "is", "(", "[1]", ">", "•", ".", ":", "\n", "  ", "— ", "\t", "Ü"]
)


@given(st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=80).map(" ".join)), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_and_every_word_of_it_is_the_pages_own(text: str, page: int) -> None:
    read = reading.read(text, page=page)
    assert 0 <= read.confidence < 1
    known = "".join(filter(str.isalnum, "".join(lines.tidy(text))))
    for sentence in read.key_points:
        assert "".join(filter(str.isalnum, sentence)) in known

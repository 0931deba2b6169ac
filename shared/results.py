"""What the model is asked for and what clients get: the analysis of a page, the summary of a batch, of a document.

The JSON schemas that the model sees are made from these structs, so a docstring or a field name here is part of the
prompt. Every field is required of the model (strict schemas know no defaults).
"""

from __future__ import annotations

from typing import Literal

import msgspec

PageKind = Literal["cover", "contents", "text", "table", "figure", "index", "references", "blank", "other"]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the page, as a Markdown table."""

    caption: str
    markdown: str


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, chart or diagram of the page, in words."""

    caption: str
    description: str


class PageAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """One page, read."""

    text: str
    """The whole text of the page as Markdown, in reading order."""
    headings: list[str]
    """Heading path at the page's end, outermost first: ["Part II", "4 Arrays", "4.2 Indexing"]."""
    summary: str
    """One to three sentences."""
    key_points: list[str]
    tables: list[Table]
    figures: list[Figure]
    language: str
    """BCP 47, such as "en"; "und" if there is no text."""
    kind: PageKind
    confidence: float
    """0 to 1: how sure the reader is of the text."""


class Cited(msgspec.Struct, frozen=True, kw_only=True):
    """A statement and the pages that say it (1-based page numbers of the document)."""

    text: str
    pages: list[int]


class BatchSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of consecutive pages says."""

    title: str
    statements: list[Cited]
    """In page order; together they are the batch's summary."""


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the document's summary."""

    heading: str
    text: str
    pages: list[int]


class DocumentSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the document says; every part names its pages."""

    title: str
    title_pages: list[int]
    abstract: str
    abstract_pages: list[int]
    sections: list[Section]
    key_points: list[Cited]


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A spoken sentence: when, of which section, from which pages."""

    start_s: float
    end_s: float
    text: str
    section: str
    """Heading of its section; "Title", "Abstract" and "Key points" for what is none."""
    pages: list[int]


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """Which second of the narration belongs to which sentence, in order and without overlap."""

    duration_s: float
    segments: list[Segment]


NAMES: dict[type[msgspec.Struct], str] = {
    PageAnalysis: "page_analysis",
    BatchSummary: "batch_summary",
    DocumentSummary: "document_summary",
}
"""The name that each JSON schema carries in a request's `response_format`."""

"""Makes long documents of the sample, for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path

import pypdfium2

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "introduction-to-r.pdf"
"""113 pages with fonts and formulas, none of them blank."""


def long_pdf(folder: Path, pages: int) -> Path:
    """A PDF of so many pages in `folder`: the sample's, over and over; made once. 10,000 pages: 65 MB, in 3 s.

    Each time round the pages show a frame one point further up, so that no two make the same image: a page that the
    fleet has read before costs it no call. All pages have the same size.
    """
    path = folder / f"{pages}-pages.pdf"
    if path.exists():
        return path
    with pypdfium2.PdfDocument(SAMPLE) as sample, pypdfium2.PdfDocument.new() as made:
        while len(made) < pages:
            made.import_pages(sample, list(range(min(len(sample), pages - len(made)))))
        for index in range(pages):
            page = made[index]
            left, bottom, right, top = page.get_mediabox()
            up = index // len(sample)
            page.set_mediabox(left, bottom + up, right, top + up)
            page.close()
        made.save(path)
    return path

"""A bill as a PDF, set by Typst: PDF/A-3b where every character has a glyph.

The same bill gives the same bytes: the creation date is the bill's, and layout, language and issuer were kept with it.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import typst

from libs.contracts import BillIssued
from services.invoicing.domain.bill_page import bill_page
from services.invoicing.fonts import all_fonts

TEMPLATES = Path(__file__).parent / "templates"
ARCHIVE_STANDARD: Final = "a-3b"
# Each is found by one more setting of the document, 15 ms: after so many the operator knows the script.
MISSING_GLYPHS_MAX = 20
# Typst says it so where an archive's text has no glyph.
_NO_GLYPH = re.compile(r"the text `\"(?P<text>.+?)\"` could not be displayed", re.DOTALL)


class UnknownTemplate(LookupError):
    """A bill was issued with a layout that this version of Tarifa does not carry."""


@dataclass(frozen=True)
class RenderedBill:
    """A PDF, and the texts in it that no font at hand has glyphs for: they are empty boxes."""

    body: bytes
    missing_glyphs: tuple[str, ...] = ()


def render_bill(bill: BillIssued, fonts: typst.Fonts | None = None) -> RenderedBill:
    """Set a bill as PDF/A, or as a plain PDF where an archive cannot hold it for want of a glyph. Raises UnknownTemplate."""
    if bill.template_version not in template_versions():
        raise UnknownTemplate(f"bill {bill.id} needs the layout {bill.template_version}, which is not in {TEMPLATES}")
    page = json.dumps(bill_page(bill), ensure_ascii=False)
    setting = _Setting(bill, fonts or all_fonts())
    body, missing = setting.archive(page)
    if body is not None:
        return RenderedBill(body)
    found: list[str] = []
    while missing and missing not in found and len(found) < MISSING_GLYPHS_MAX:
        found.append(missing)
        _, missing = setting.archive(_without(page, found))
    return RenderedBill(setting.plain(page), tuple(found))


def _without(page: str, texts: list[str]) -> str:
    for text in texts:
        page = page.replace(text, "")
    return page


class _Setting:
    """Sets the page of one bill."""

    def __init__(self, bill: BillIssued, fonts: typst.Fonts) -> None:
        self._template = TEMPLATES / f"{bill.template_version}.typ"
        self._issued_at = int(bill.bill_date.timestamp())
        self._fonts = fonts

    def archive(self, page: str) -> tuple[bytes | None, str | None]:
        """Return a PDF/A, or the first text without a glyph. Raises TypstError for anything else."""
        try:
            return _one_file(self._compiler(page).compile(format="pdf", pdf_standards=ARCHIVE_STANDARD, timestamp=self._issued_at)), None
        except typst.TypstError as error:
            without = _NO_GLYPH.search(str(error))
            if without is None:
                raise
            return None, without["text"]

    def plain(self, page: str) -> bytes:
        """Return a PDF with boxes for what has no glyph."""
        return _one_file(self._compiler(page).compile(format="pdf", timestamp=self._issued_at))

    def _compiler(self, page: str) -> typst.Compiler:
        return typst.Compiler(self._template, root=TEMPLATES, font_paths=self._fonts, sys_inputs={"page": page})


def _one_file(pdf: object) -> bytes:
    assert isinstance(pdf, bytes), "a PDF is one file, whatever its pages"
    return pdf


@cache
def template_versions() -> frozenset[str]:
    """The layouts at hand; versions of issued bills are never removed."""
    return frozenset(path.stem for path in TEMPLATES.glob("*.typ"))

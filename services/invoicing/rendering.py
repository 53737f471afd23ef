"""A bill as a PDF, set by Typst: PDF/A-3b where every character has a glyph.

The same bill gives the same bytes: the creation date is the bill's, and layout, language and issuer were kept with it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Final

import typst

from libs.contracts import BillIssued
from services.invoicing.domain.bill_page import bill_page

TEMPLATES = Path(__file__).parent / "templates"
ARCHIVE_STANDARD: Final = "a-3b"


class UnknownTemplate(LookupError):
    """A bill was issued with a layout that this version of Tarifa does not carry."""


def render_bill(bill: BillIssued) -> bytes:
    """The PDF of a bill. Raises UnknownTemplate."""
    if bill.template_version not in template_versions():
        raise UnknownTemplate(f"bill {bill.id} needs the layout {bill.template_version}, which is not in {TEMPLATES}")
    page = {"page": json.dumps(bill_page(bill), ensure_ascii=False)}
    issued_at = int(bill.bill_date.timestamp())
    compiler = typst.Compiler(TEMPLATES / f"{bill.template_version}.typ", root=TEMPLATES, font_paths=_fonts(), sys_inputs=page)
    try:
        pdf = compiler.compile(format="pdf", pdf_standards=ARCHIVE_STANDARD, timestamp=issued_at)
    except typst.TypstError:
        # An archive may hold no character without a glyph, such as an emoji in a name on a machine without that font.
        pdf = compiler.compile(format="pdf", timestamp=issued_at)
    assert isinstance(pdf, bytes), "a PDF is one file, whatever its pages"
    return pdf


@cache
def template_versions() -> frozenset[str]:
    """The layouts at hand; versions of issued bills are never removed."""
    return frozenset(path.stem for path in TEMPLATES.glob("*.typ"))


@cache
def _fonts() -> typst.Fonts:
    # The system's fonts come last, for scripts that Source Sans does not have.
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True, font_paths=[TEMPLATES / "fonts"])

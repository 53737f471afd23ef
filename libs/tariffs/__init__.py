"""Rate books for people: what an offering costs in words, what changes from one book to another, and books of other systems read in.

Pure, as pricing is: texts in, values out. The commands in libs/cli/tariff.py read the files.
"""

from libs.tariffs.book_document import BookDocument, read_book_document
from libs.tariffs.difference import Change, ChangeKind, difference
from libs.tariffs.offering_sheet import SheetLine, offering_sheet

__all__ = ["BookDocument", "Change", "ChangeKind", "SheetLine", "difference", "offering_sheet", "read_book_document"]

"""CGRateS tariff plans as rate books: CSV texts in, the texts of books out, with a remark for everything that did not come over.

tables (rows of columns) -> plan (what the rows say) -> weeks (who prices which minute) -> books.
"""

from libs.tariffs.cgrates.books import ImportedBook, ImportTerms, import_tariff_plan
from libs.tariffs.cgrates.plan import read_tariff_plan
from libs.tariffs.cgrates.tables import FILES, Remark, RemarkKind

__all__ = ["FILES", "ImportTerms", "ImportedBook", "Remark", "RemarkKind", "import_tariff_plan", "read_tariff_plan"]

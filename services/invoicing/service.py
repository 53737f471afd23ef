"""Composition root of invoicing."""

from functools import partial
from pathlib import Path
from typing import Annotated

from babel import Locale, UnknownLocaleError
from pydantic import AfterValidator, Field

from libs.billing import BillTerms, parse_tax_rates
from libs.contracts import BillIssuer, PostalAddress
from libs.runtime import RuntimeSettings, Service
from services.invoicing.accounts import AccountCopies
from services.invoicing.adoption import BillAdoption
from services.invoicing.documents import DocumentStore
from services.invoicing.domain.series import InvoiceSeries
from services.invoicing.handlers import change_bill_states, issue_bills, preview_bills, remember_accounts, render_documents
from services.invoicing.store import INDEXES, BillStore

TAX_RATES_FILE = Path(__file__).parents[2] / "deploy" / "tax-rates.yaml"
TEMPLATE_VERSION = "bill-1"
# One transaction and one block of numbers each: larger ones hold the counter longer and gain nothing.
ISSUE_BATCH_SIZE = 500
# Somebody waits for each answer, and a batch answers when its last is done: few at a time.
STATE_BATCH_SIZE = 50
PREVIEW_BATCH_SIZE = 20
DOCUMENT_BATCH_SIZE = 10


def _known_locale(name: str) -> str:
    try:
        return str(Locale.parse(name))
    except UnknownLocaleError as error:
        raise ValueError(f"{error}; give a CLDR name such as en, en_GB or es") from None


class InvoicingSettings(RuntimeSettings):
    """Besides the shared ones: tax table, series, language, and who issues the bills."""

    http_port: int = Field(8102, validation_alias="INVOICING_PORT")
    tax_rates_file: Path = Field(TAX_RATES_FILE, validation_alias="TAX_RATES_FILE")
    invoice_series: str = Field("{year}", validation_alias="INVOICE_SERIES")
    invoice_locale: Annotated[str, AfterValidator(_known_locale)] = Field("en", validation_alias="INVOICE_LOCALE")
    account_wait_s: float = Field(10.0, ge=0, validation_alias="INVOICING_ACCOUNT_WAIT_S")
    issuer: BillIssuer = Field(
        BillIssuer(
            name="Tarifa Telecom",
            address=PostalAddress(street="Paseo del Faro 1", post_code="11380", city="Tarifa", country="Spain"),
            tax_number="ES-B00000000",
            email="billing@tarifa.example",
            website="tarifa.example",
        ),
        validation_alias="INVOICE_ISSUER",
    )


def build(settings: InvoicingSettings) -> Service:
    """The service with its handlers bound to its stores. Raises InvalidTaxRates, InvalidSeries or OSError for bad settings."""
    terms = BillTerms(
        tax_table=parse_tax_rates(settings.tax_rates_file.read_text(encoding="utf-8"), str(settings.tax_rates_file)),
        issuer=settings.issuer,
        locale=settings.invoice_locale,
        template_version=TEMPLATE_VERSION,
    )
    service = Service("invoicing", settings, indexes=INDEXES)
    bills = BillStore(service.client, service.database, InvoiceSeries(settings.invoice_series))
    accounts = AccountCopies(service.database, settings.account_wait_s)
    service.adopt(BillAdoption(service.database).adopt)
    service.subscribe(partial(remember_accounts, accounts=accounts))
    service.subscribe(partial(issue_bills, bills=bills, accounts=accounts, terms=terms), batch_size=ISSUE_BATCH_SIZE)
    service.subscribe(partial(preview_bills, accounts=accounts, terms=terms), batch_size=PREVIEW_BATCH_SIZE)
    service.subscribe(partial(change_bill_states, bills=bills), batch_size=STATE_BATCH_SIZE)
    documents = DocumentStore(service.client, service.database)
    service.subscribe(partial(render_documents, bills=bills, documents=documents), batch_size=DOCUMENT_BATCH_SIZE)
    service.add_warnings(documents.warnings)
    return service

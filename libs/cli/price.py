"""`tarifa price`: what usages cost in an offering, and step by step why, without asking any service."""

import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.billing import InvalidTaxRates, parse_tax_rates
from libs.cli.errors import CommandError
from libs.cli.rate_book_files import RATE_BOOKS, SEE_LIST, find_document, read_documents
from libs.contracts import MalformedFact, UsageReceived
from libs.devstack.settings import PROJECT_ROOT
from libs.exact_decimal import KEPT
from libs.exact_json import InvalidJson, UnfitValue, read_json, write_json
from libs.money import RoundingMode, UnknownCurrency, round_to_decimals, sum_exactly
from libs.periods import UnknownTimeZone
from libs.pricing import RateBookInvalid, RateBooks, RejectedUsage
from libs.pricing.charge_amount import exact_amount
from libs.pricing.intake import Intake
from libs.runtime.usage_settings import UsageSettings
from libs.tariffs import BookDocument
from libs.tariffs.trial import Trial, TrialBill, TrialUsage, Unbillable

TAX_RATES = PROJECT_ROOT / "deploy" / "tax-rates.yaml"
# Amounts that do not end are shown with so many decimals; --json has the fraction.
DECIMALS_SHOWN = 6
# The month of a usage, in whatever zone, lies within the calendar where its year is not the first or the last.
YEARS = range(2, 9999)

app = typer.Typer()
result = Console(highlight=False)


@app.command()
def price(
    product: Annotated[str, typer.Option("--product", metavar="OFFERING", help="The offering that the customer has.")],
    usage: Annotated[Path, typer.Option("--usage", metavar="FILE", help="Usages as JSON, one or a list; - for standard input.")],
    book: Annotated[str | None, typer.Option("--book", help="Price by this book alone: a file, or an id. All books when left out.")] = None,
    books: Annotated[
        Path, typer.Option("--books", envvar="RATE_BOOKS_DIR", help="The directory of the rate books.", file_okay=False)
    ] = RATE_BOOKS,
    published: Annotated[bool, typer.Option("--published", help="Also the books that rating accepted; asks its database.")] = False,
    time_zone: Annotated[str | None, typer.Option(help="The account's; that of the rate book when left out.")] = None,
    currency: Annotated[str | None, typer.Option(help="The account's; that of the rate book when left out.")] = None,
    allowances: Annotated[
        bool, typer.Option("--allowances/--no-allowances", help="With all allowances full at the first usage, or as if they were used up.")
    ] = True,
    tax_category: Annotated[str | None, typer.Option(help="The account's; no tax is computed when left out.")] = None,
    tax_rates: Annotated[Path, typer.Option(envvar="TAX_RATES_FILE", help="The tax table of invoicing.", dir_okay=False)] = TAX_RATES,
    explain: Annotated[bool, typer.Option("--explain", help="Say step by step why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell it as JSON.")] = False,
) -> None:
    """Price usages in an offering, as rating and billing would, and say why. Exit 1 when one has no price.

    A list is priced in its order, as all that a customer used: months are counted, allowances drawn, discounts taken off. Fees and
    commitments are not part of a usage's price: see `tarifa tariff show`.
    """
    documents = [find_document(book, books, published=published)] if book else read_documents(books, published=published)
    documents = [document for document in documents if product in document.offerings]
    if not documents:
        raise CommandError(f"no offering {product} in {f'rate book {book}' if book else books}", SEE_LIST)
    usages = _read_usages(usage)
    terms = _newest(documents, product, currency).terms
    trial = Trial(
        _rate_books(documents),
        product,
        time_zone or terms.get("time_zone", "UTC"),
        currency or terms["currency"],
        with_allowances=allowances,
        intake=_intake(),
    )
    try:
        priced = trial.price(usages)
        table = parse_tax_rates(tax_rates.read_text(encoding="utf-8"), str(tax_rates)) if tax_category else None
        bill = trial.bill(priced, table, tax_category or "")
    except (UnknownTimeZone, UnknownCurrency, Unbillable) as error:
        raise CommandError(str(error), "see --time-zone, --currency and --tax-category") from None
    except (InvalidTaxRates, OSError) as error:
        raise CommandError(str(error), "name the tax table of invoicing with --tax-rates") from None
    if as_json:
        sys.stdout.write(write_json(_as_json(priced, bill, trial.currency, explain=explain)).decode() + "\n")
    else:
        _tell(priced, bill, trial.currency, explain=explain, is_taxed=table is not None)
    refused = [each for each in priced if isinstance(each.answer, RejectedUsage)]
    if refused:
        raise CommandError(f"{len(refused)} of {len(priced)} usages have no price: {_refusal(refused[0])}")


def _newest(documents: Sequence[BookDocument], product: str, currency: str | None) -> BookDocument:
    """The book whose zone and currency are meant when they are not said."""
    fitting = [document for document in documents if currency in (None, document.book.currency)] or documents
    newest = max(fitting, key=lambda document: document.book.effective_from)
    currencies = sorted({document.book.currency for document in fitting})
    if len(currencies) > 1:
        raise CommandError(f"offering {product} is priced in {' and '.join(currencies)}", "choose one with --currency")
    return newest


def _rate_books(documents: Sequence[BookDocument]) -> RateBooks:
    try:
        return RateBooks(document.book for document in documents)
    except RateBookInvalid as error:
        raise CommandError(f"the rate books contradict each other: {error.faults[0]}", "see `tarifa tariff check`") from error


def _read_usages(path: Path) -> list[UsageReceived]:
    """Usages as mediation would send them; an id and an identifier, which change no price, may be left out."""
    try:
        body = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        # As many digits as rating reads, so that it is rating's rules that refuse a quantity.
        read = read_json(body.decode("utf-8"), KEPT)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", "name a file with a usage as JSON") from None
    except UnfitValue as error:
        raise CommandError(f"{path} cannot be read: {error}", "correct that value") from None
    except (InvalidJson, UnicodeDecodeError) as error:
        raise CommandError(f"{path} is not JSON: {error}", "write one usage, or a list of them") from None
    given = read if isinstance(read, list) else [read]
    if not given:
        raise CommandError(f"{path} has no usage", "write one usage, or a list of them")
    return [_usage(each, number, path) for number, each in enumerate(given, 1)]


def _usage(given: Any, number: int, path: Path) -> UsageReceived:
    try:
        if not isinstance(given, dict):
            raise MalformedFact("it is not an object")
        usage = UsageReceived.from_message(write_json({"id": f"usage-{number}", "identifier": "trial", **given}))
        if usage.started_at.year not in YEARS:
            raise MalformedFact(f"started_at: {usage.started_at.isoformat()} is too near an end of the calendar")
        return usage
    except MalformedFact as error:
        raise CommandError(
            f"usage {number} in {path} cannot be read: {error}",
            'write it as in {"usage_type": "voice", "started_at": "2026-03-02T09:00:00Z", "quantity": 73, "unit": "s"}',
        ) from None


def _intake() -> Intake:
    """Return the intake that rating uses, read from the same environment variables."""
    settings = UsageSettings()
    try:
        return Intake.of(settings.usage_numbers_country, settings.usage_limits, settings.usage_limits_by_unit)
    except ValueError as error:
        raise CommandError(str(error), "correct USAGE_NUMBERS_COUNTRY, USAGE_LIMITS or USAGE_LIMITS_BY_UNIT") from None


def _tell(priced: Sequence[TrialUsage], bill: TrialBill, currency: str, *, explain: bool, is_taxed: bool) -> None:
    for each in priced:
        usage = each.usage
        called = f" to {usage.called_number}" if usage.called_number else ""
        what = f"{usage.usage_type}{called}, {usage.quantity} {usage.unit}, {usage.started_at:%Y-%m-%d %H:%M:%S} UTC"
        if isinstance(each.answer, RejectedUsage):
            result.print(f"[bold]{escape(usage.id)}[/bold]  {escape(what)}: {escape(_refusal(each))}", soft_wrap=True)
        else:
            counted = ", counted over the month" if each.answer.price.tiers is not None else ""
            amount = f"{_shown(each.answer.amount)} {currency} by {each.answer.price_id}{counted}"
            result.print(f"[bold]{escape(usage.id)}[/bold]  {escape(what)}: [bold]{escape(amount)}[/bold]", soft_wrap=True)
        if explain:
            steps = Table(box=None, show_header=False, pad_edge=False)
            for step in each.steps:
                steps.add_row(f"    {step.topic}", escape(step.text), "" if step.amount is None else _shown(step.amount))
            result.print(steps)
    # The line of a single usage says it all, unless something is added to it or taken off.
    if bill.lines and (explain or is_taxed or len(priced) > 1 or bill.adjustments or bill.discounts):
        _tell_bill(bill, currency)


def _tell_bill(bill: TrialBill, currency: str) -> None:
    table = Table("bill line", "quantity", "exact", currency, box=None)
    for line in bill.lines:
        table.add_row(escape(line.description), f"{line.quantity.normalize():f} {line.unit}", _shown(exact_amount(line)), str(line.amount))
    for adjustment in bill.adjustments:
        table.add_row(escape(adjustment.description), "", "", str(adjustment.amount))
    for tax in bill.taxes:
        table.add_row(f"tax {escape(tax.category)}, {tax.rate.normalize():f} %", "", "", str(tax.amount))
    for discount in bill.discounts:
        table.add_row(escape(discount.description), "", "", str(discount.amount))
    table.add_row("[bold]total[/bold]", "", "", f"[bold]{bill.total}[/bold]")
    result.print(table)
    result.print("Fees and commitments are not part of a usage's price: see `tarifa tariff show`.", soft_wrap=True)


def _as_json(priced: Sequence[TrialUsage], bill: TrialBill, currency: str, *, explain: bool) -> dict[str, Any]:
    return {
        "currency": currency,
        "usages": [_usage_as_json(each, explain=explain) for each in priced],
        "lines": [
            {
                "price_id": line.price_id,
                "description": line.description,
                "month": line.period.start,
                "quantity": line.quantity,
                "unit": line.unit,
                **_fraction(exact_amount(line)),
                "amount": line.amount,
            }
            for line in bill.lines
        ],
        "adjustments": [
            {"kind": adjustment.kind, "id": adjustment.id, "description": adjustment.description, "amount": adjustment.amount}
            for adjustment in bill.adjustments
        ],
        "taxes": [{"category": tax.category, "rate": tax.rate, "amount": tax.amount} for tax in bill.taxes],
        "discounts": [
            {"id": discount.discount_id, "description": discount.description, "amount": discount.amount} for discount in bill.discounts
        ],
        "total": bill.total,
    }


def _usage_as_json(each: TrialUsage, *, explain: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"id": each.usage.id}
    if isinstance(each.answer, RejectedUsage):
        told |= {"rejected": {"reason": each.answer.reason.value, "detail": each.answer.detail}}
    else:
        told |= {
            "price_id": each.answer.price_id,
            "rate_book": each.answer.rate_book,
            **_fraction(each.answer.amount),
            "charged_quantity": sum_exactly(part.charged_quantity for part in each.answer.parts).normalize(),
            "allowances": [{"id": use.allowance_id, **_fraction(Fraction(use.quantity) / use.denominator)} for use in each.uses],
        }
    return told | ({"steps": list(_steps_as_json(each))} if explain else {})


def _steps_as_json(each: TrialUsage) -> Iterator[dict[str, Any]]:
    for step in each.steps:
        yield {"topic": step.topic, "text": step.text, **(_fraction(step.amount) if step.amount is not None else {})}


def _fraction(amount: Fraction) -> dict[str, str]:
    """Exactly, as texts: neither has bounds."""
    return {"numerator": str(amount.numerator), "denominator": str(amount.denominator)}


def _shown(amount: Fraction) -> str:
    shown = round_to_decimals(amount, DECIMALS_SHOWN, RoundingMode.HALF_UP)
    ending = "" if Fraction(shown) == amount else "…"
    return f"{shown.normalize():f}{ending}"


def _refusal(each: TrialUsage) -> str:
    assert isinstance(each.answer, RejectedUsage)
    return f"{each.answer.reason.value}: {each.answer.detail}"

"""`tarifa tariff try`: what ordinary usages would cost by a rate book, at home, roaming, at weekends, to premium numbers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.cli.rate_book_files import RATE_BOOKS, find_document
from libs.money import RoundingMode, round_to_decimals
from libs.pricing import RateBook, RejectedUsage
from libs.pricing.books_alone import alone
from libs.tariffs.trial import Trial, TrialUsage
from libs.tariffs.typical import TypicalUsage, typical_usages

DECIMALS_SHOWN = 6

result = Console(highlight=False)


@dataclass(frozen=True)
class _Tried:
    """A typical usage with its price when allowances are used up, and when they are full."""

    offering: str
    typical: TypicalUsage
    bare: TrialUsage
    full: TrialUsage


def try_book(
    name: Annotated[str, typer.Argument(metavar="BOOK", help="A rate book's id, or the file of one.")],
    offering: Annotated[str | None, typer.Option("--offering", help="This offering alone.")] = None,
    books: Annotated[
        Path, typer.Option("--books", envvar="RATE_BOOKS_DIR", help="The directory of the rate books.", file_okay=False)
    ] = RATE_BOOKS,
    as_json: Annotated[bool, typer.Option("--json", help="Tell it as JSON.")] = False,
) -> None:
    """Show what ordinary usages would cost, offering by offering: at home, roaming, in the evening, at weekends, to premium numbers.

    Each usage is priced by itself, by this book alone: once with allowances used up, and once with all of them full.
    """
    book = find_document(name, books).book
    tried = list(_tried(book, offering))
    if as_json:
        result.print_json(json.dumps([_as_json(each, book.currency) for each in tried]))
        return
    for id in dict.fromkeys(each.offering for each in tried):
        _tell(id, [each for each in tried if each.offering == id], book)
    if not tried:
        result.print(f"{escape(book.id)} prices no usage")


def _tried(book: RateBook, offering_id: str | None) -> Iterator[_Tried]:
    books = alone(book)
    for offering in book.offerings.values():
        if offering_id not in (None, offering.id):
            continue
        for typical in typical_usages(book, offering):
            bare, full = (
                Trial(books, offering.id, book.time_zone.key, book.currency, with_allowances=with_allowances).price([typical.usage])[0]
                for with_allowances in (False, True)
            )
            yield _Tried(offering.id, typical, bare, full)


def _tell(offering: str, tried: Sequence[_Tried], book: RateBook) -> None:
    result.print(f"[bold]{escape(offering)}[/bold]  by rate book {escape(book.id)} alone")
    table = Table("usage", "price", book.currency, "with full allowances", box=None, pad_edge=False)
    for each in tried:
        answer = each.bare.answer
        if isinstance(answer, RejectedUsage):
            table.add_row(escape(each.typical.words), "–", f"waits in suspense: {answer.reason.value}", "")
            continue
        counted = " and what the month's tiers make of it" if answer.price.tiers is not None else ""
        paid = "" if not each.full.uses else _shown(_amount(each.full))
        table.add_row(escape(each.typical.words), escape(answer.price_id), f"{_shown(answer.amount)}{counted}", paid)
    result.print(table)


def _as_json(each: _Tried, currency: str) -> dict[str, Any]:
    usage, answer = each.typical.usage, each.bare.answer
    told: dict[str, Any] = {
        "offering": each.offering,
        "words": each.typical.words,
        "usage_type": usage.usage_type,
        "quantity": str(usage.quantity),
        "unit": usage.unit,
        "called_number": usage.called_number,
        "started_at": usage.started_at.isoformat(),
        "characteristics": dict(usage.characteristics),
    }
    if isinstance(answer, RejectedUsage):
        return told | {"rejected": {"reason": answer.reason.value, "detail": answer.detail}}
    amounts = {"amount": answer.amount, "amount_with_allowances": _amount(each.full)}
    shown = {key: {"numerator": str(amount.numerator), "denominator": str(amount.denominator)} for key, amount in amounts.items()}
    return told | {"price_id": answer.price_id, "currency": currency, **shown, "allowances": [use.allowance_id for use in each.full.uses]}


def _amount(priced: TrialUsage) -> Fraction:
    return Fraction(0) if isinstance(priced.answer, RejectedUsage) else priced.answer.amount


def _shown(amount: Fraction) -> str:
    shown = round_to_decimals(amount, DECIMALS_SHOWN, RoundingMode.HALF_UP)
    return f"{shown.normalize():f}" + ("" if Fraction(shown) == amount else "…")

"""Re-rated usages priced again: by the rate book that each names, less the part that allowances paid when it was rated.

Which book and offering a request asked for is not stored. So the book is taken from the new price and the offering from the charge that
counts it; that these are the ones that were asked for cannot be checked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any

from libs.audit.domain.difference import Category, Difference
from libs.audit.domain.offering_terms import OfferingTerms
from libs.audit.domain.reratings import Stored, outcome_of, told
from libs.audit.domain.usages import parts_of
from libs.contracts import AllowanceUse
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.allowance_kept import less_allowances


class NotPriced(StrEnum):
    """The reasons for which the price of a re-rated usage cannot be computed."""

    UNKNOWN_CHARGE = "re-ratings of an unknown charge or account, not priced again"
    OTHER_BOOK = "re-ratings by another rate book, not priced again"
    UNKNOWN_ALLOWANCE = "re-ratings after unknown allowances, not priced again"


@dataclass(frozen=True, slots=True)
class Standing:
    """A usage with its newest re-rating, and the terms by which it may have been priced, at first and now; the likeliest first."""

    usage: Stored
    rerating: Stored
    terms_first: Sequence[OfferingTerms]
    terms: Sequence[OfferingTerms]


def check_standing(standing: Standing, books: RateBooks, alone: Mapping[str, RateBooks]) -> list[Difference] | NotPriced:
    """Differences from the likeliest price, unless it is one of the others. `alone` has each of the books by itself."""
    if not standing.terms:
        return NotPriced.UNKNOWN_CHARGE
    named = [part["rate_book"] for part in standing.rerating["new"]]
    # A book that was asked for goes before all others; by those of its time, a usage that is split may be priced by several.
    by = alone.get(named[0]) if len(set(named)) == 1 else books
    first = standing.terms[0]
    if by is None or (by is books and first.books_of(standing.usage, first.price(standing.usage, books), books) not in ([], named)):
        return NotPriced.OTHER_BOOK
    outcomes = [outcome for terms in standing.terms for outcome in _outcomes(standing, terms, by, alone)]
    if not outcomes:
        return NotPriced.UNKNOWN_ALLOWANCE
    differences = [list(_check(standing.rerating, outcome)) for outcome in outcomes]
    return next((found for found in differences if not found), differences[0])


def _outcomes(
    standing: Standing, terms: OfferingTerms, books: RateBooks, alone: Mapping[str, RateBooks]
) -> Iterator[PricedUsage | RejectedUsage]:
    """Yield the possible prices by these terms: one for each of the first terms by which allowances may have paid."""
    usage = standing.usage
    priced = terms.price(usage, books)
    if isinstance(priced, RejectedUsage) or "allowances" not in usage:
        yield priced
        return
    uses = [_use(use) for use in usage["allowances"]]
    # The book of the first part is the one that was drawn by.
    book_first = alone.get(parts_of(usage)[0]["rate_book"])
    if book_first is None:
        return
    for first in standing.terms_first:
        allowances = first.allowances(usage["started_at"], book_first)
        if all(use.allowance_id in allowances for use in uses):
            yield less_allowances(uses, allowances, priced)


def _use(stored: Mapping[str, Any]) -> AllowanceUse:
    return AllowanceUse(**{**stored, "quantity": Decimal(stored["quantity"]), "denominator": int(stored["denominator"])})


def _check(rerating: Stored, priced: PricedUsage | RejectedUsage) -> Iterator[Difference]:
    number, found = rerating["number"], outcome_of(rerating["new"])
    if isinstance(priced, RejectedUsage):
        yield _of_price(rerating, f"no price: {priced.reason}, and so no re-rating {number}", told(found))
        return
    expected = [(part.price_id, Fraction(part.charged_quantity), Fraction(part.numerator, part.denominator)) for part in priced.parts]
    if expected != found:
        yield _of_price(rerating, f"{told(expected)} by re-rating {number}", told(found))
    if priced.currency != rerating["currency"]:
        yield _of_price(rerating, f"currency {priced.currency} by re-rating {number}", f"{rerating['currency']}")


def _of_price(rerating: Stored, expected: str, found: str) -> Difference:
    return Difference(category=Category.USAGE_PRICE, id=rerating["usage_id"], expected=expected, found=found)

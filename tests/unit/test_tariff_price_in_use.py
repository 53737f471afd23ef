"""What is tried comes to what rating and invoicing make of the same usages, to the last cent of each line of each bill."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import bson
from hypothesis import given
from hypothesis import strategies as st

from libs.billing import parse_tax_rates
from libs.contracts import BillIssued, Charge, PeriodCut, RunType, UsageReceived
from libs.money import sum_exactly
from libs.periods import month_containing
from libs.pricing import RateBooks, parse_rate_book
from libs.runtime import from_document
from libs.runtime.mongo import CODEC_OPTIONS
from libs.tariffs.trial import Trial
from services.rating.documents import opened_charge
from services.rating.domain.accumulation import accumulate
from services.rating.domain.counted import NOTHING_COUNTED
from services.rating.domain.cuts import AccountToCut, Closing, decide_cut
from services.rating.domain.deciding import Rated
from services.rating.domain.holdings import Account
from tests.drawing_world import LINE, DrawingWorld, product, usage
from tests.outcomes import bill_of

ZONE = "Europe/Madrid"
BOOK = """
id: first
effective_from: 2026-01-01
currency: EUR
offerings:
  basic:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.07, per: 60 s}, increments: 1/1}
      - id: data
        description: Data
        match: {usage_type: data}
        graduated: [{up_to: 100 byte, price: {amount: 0.03, per: 1 byte}}, {price: {amount: 0.011, per: 1 byte}}]
      - {id: film, description: Films, match: {usage_type: film}, price: {amount: 0.333, per: 1 event}, tax_category: reduced}
    allowances:
      - {id: minutes, description: Minutes, amount: 2 min, covers: {prices: [calls]}}
    discounts:
      - {id: tenth, description: Tenth, percent: 9.9}
      - {id: spring, description: Spring, fixed: 1.01, from: 2026-03-10, scope: {prices: [calls, data]}}
      - {id: welcome, description: Welcome, percent: 5, for_first: 1 month}
      - {id: staff, description: Staff, percent: 3, applied: after_tax, until: 2026-04-10}
      - {id: voucher, description: Voucher, fixed: 2, applied: after_tax, for_first: 1 month}
    spending_cap: {id: cap, description: Cap, amount: 15}
"""
SECOND = BOOK.replace("id: first", "id: second", 1).replace("2026-01-01", "2026-03-20").replace("0.07", "0.09")
INCLUDING = SECOND.replace("  basic:\n", "  basic:\n    tax: included\n")
ROUNDING = BOOK.replace("currency: EUR\n", "currency: EUR\nrounding: {point: bill, mode: down}\n")
BOOKS = {
    name: RateBooks(parse_rate_book(text, f"{place}.yaml") for place, text in enumerate(texts))
    for name, texts in {
        "one book": [BOOK],
        "another price": [BOOK, SECOND],
        "tax included from a day on": [BOOK, INCLUDING],
        "rounding of the bill up to a day": [ROUNDING, SECOND],
    }.items()
}
RATES = parse_tax_rates("rates: {standard: 21, reduced: 10}", "rates.yaml")
UNITS = {"voice": "s", "data": "byte", "film": "event"}
usages = st.lists(st.tuples(st.sampled_from(sorted(UNITS)), st.integers(0, 150), st.integers(0, 90 * 24 - 1)), min_size=1, max_size=8)


def charges_of(rated: Iterable[Rated], at: datetime) -> list[Charge]:
    """As rating stores them and reads them again."""
    documents = (opened_charge(increment.charge.id, increment, at, NOTHING_COUNTED) for increment in accumulate(rated).values())
    return [
        from_document(Charge, bson.decode(bson.encode(each, codec_options=CODEC_OPTIONS), codec_options=CODEC_OPTIONS))
        for each in documents
    ]


def billed(books: RateBooks, used: Sequence[UsageReceived]) -> list[BillIssued]:
    """The bills of the cycle, month after month."""
    line = product("line", started_at=min(each.started_at for each in used))
    charges = charges_of(DrawingWorld(books, {LINE: line}).rate(*used), line.started_at)
    bills = []
    for month in sorted({month_containing(each.started_at, ZONE) for each in used}, key=lambda month: month.start):
        now = month.end + timedelta(hours=3)
        cut = PeriodCut(id=f"{now}", account_id="ada", run_type=RunType.ON_CYCLE, period=month, cause_id="run", requested_at=now)
        unbilled = [charge for charge in charges if charge.period == month]
        closing = decide_cut(AccountToCut(Account("ada", "EUR", ZONE), unbilled, [line]), cut, books, now)
        assert isinstance(closing, Closing), closing
        bills.append(bill_of(closing.answer, time_zone=ZONE))
    return bills


@given(usages, st.sampled_from(sorted(BOOKS)))
def test_a_trial_comes_to_what_the_bills_of_the_same_usages_do(told: list[tuple[str, int, int]], books: str) -> None:
    begins = datetime.fromisoformat("2026-02-15T00:00:00+01:00")
    used = [
        usage(f"{number}", quantity, str(begins + timedelta(hours=hour)), kind=kind, unit=UNITS[kind])
        for number, (kind, quantity, hour) in enumerate(sorted(told, key=lambda each: each[2]))
    ]
    trial = Trial(BOOKS[books], "basic", ZONE, "EUR")
    tried = trial.bill(trial.price(used), RATES, "standard")
    bills = billed(BOOKS[books], used)
    assert tried.total == sum_exactly(bill.amount_due for bill in bills)
    assert sorted((tax.category, tax.amount) for tax in tried.taxes) == sorted(taxes_of(bills).items())
    assert [discount.amount for discount in tried.discounts] == [discount.amount for bill in bills for discount in bill.discounts]


def taxes_of(bills: Iterable[BillIssued]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for item in (item for bill in bills for item in bill.tax_items):
        found[item.category] = sum_exactly([found.get(item.category, Decimal(0)), item.amount])
    return found

"""Re-rating usage that allowances paid for, wholly or in part: what they paid stays paid, and only what is left is priced anew."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import Charge, ChargeKind, UsageReceived
from libs.periods import Period
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.deciding import Rated, Rater, rated_fact
from services.rating.domain.drawing import draw_allowances, plan_draws
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from services.rating.domain.repricing import Repricer, Shelf, Standing
from services.rating.domain.rerating import Rerater, Reratings

NOW = datetime(2026, 3, 20, tzinfo=UTC)
LINE = Product("line", "ada", "plan", "Plan", "active", datetime(2025, 1, 1, tzinfo=UTC))
ADA = Account("ada", "EUR", "UTC")
HOLDINGS = Holdings({"+1": (Holding.of(LINE, LINE.started_at, None),)}, {"ada": ADA})
ALLOWANCES = (
    "{id: minutes, description: 2 minutes, amount: 2 min, priority: 1}",
    "{id: national, description: 1 minute to Spain, amount: 1 min, covers: {zones: national}, priority: 2}",
    "{id: units, description: 2 units, amount: 2 unit, factors: {voice: 45 s, sms: 1 message}, priority: 3}",
    "{id: euro, description: 1 euro, amount: 1.00, priority: 4}",
)


def book(id: str, *allowances: str, national: str = "0.60", world: str = "1.20", fee: str = "0.10", crossing: str = "split") -> str:
    """Calls that are dearer abroad and at night, and are split at midnight."""
    prices = (
        f"{{id: national, description: Calls, match: {{usage_type: voice, zone: national}}, price: {{amount: {national}, per: 60 s}}"
        f", setup_fee: {fee}}}",
        f"{{id: world, description: Calls, match: {{usage_type: voice}}, price: {{amount: {world}, per: 60 s}}, increments: 30/6}}",
        "{id: night, description: Calls, match: {usage_type: voice, time_band: night}, price: {amount: 3, per: 60 s}}",
    )
    return f"""
id: {id}
effective_from: 2026-01-01
currency: EUR
crossing: {crossing}
zones: {{national: ["+34"]}}
time_bands: {{night: {{hours: 00:00-06:00}}}}
offerings:
  plan:
    usage_prices: [{", ".join(prices)}]
{f"    allowances: [{', '.join(allowances)}]" if allowances else ""}
"""


def books_of(text: str) -> RateBooks:
    return RateBooks([parse_rate_book(text, "book.yaml")])


def rated(books: RateBooks, calls: Sequence[tuple[int, bool]]) -> list[Rated]:
    """Calls of so many seconds, to Spain or not, from shortly before midnight on."""
    usages = [
        UsageReceived(
            id=f"u{number}",
            identifier="+1",
            usage_type="voice",
            started_at=datetime(2026, 3, 2, 23, 59, tzinfo=UTC) + timedelta(seconds=number),
            quantity=Decimal(seconds),
            unit="s",
            called_number="+34911234567" if national else "+33123456789",
        )
        for number, (seconds, national) in enumerate(calls)
    ]
    rater = Rater(HOLDINGS, books, UsageLimits(timedelta(hours=1), timedelta(days=365)), NOW)
    answers = [rater.rate(usage) for usage in usages]
    priced = [answer for answer in answers if isinstance(answer, Rated)]
    return draw_allowances(priced, plan_draws(priced, books), {}).rated


def rerated(calls: Sequence[Rated], before: RateBooks, after: RateBooks) -> Reratings:
    charges = {charge.id: opened(charge.id, charge.price.price_id) for each in calls for charge, _ in each.parts}
    standings = [Standing.of(each.usage, rated_fact(each)) for each in calls]
    shelf = Shelf(after, Shelf.of(before).by_id)
    return Rerater("r", Repricer(ADA, shelf, charges, {"line": LINE}), NOW).rerate(standings)


def opened(id: str, price_id: str) -> Charge:
    return Charge(
        id=id,
        account_id="ada",
        product_id="line",
        product_name="Plan",
        offering_id="plan",
        price_id=price_id,
        kind=ChargeKind.USAGE,
        description="Calls",
        currency="EUR",
        period=Period(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 4, 1, tzinfo=UTC)),
        sequence=0,
        updated_at=NOW,
    )


def difference(reratings: Reratings) -> Fraction:
    return sum((Fraction(posting.numerator, posting.denominator) for fact in reratings.fresh for posting in fact.postings), Fraction(0))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from(ALLOWANCES), unique=True),
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=5),
)
def test_the_same_prices_change_nothing_whatever_paid(allowances: list[str], calls: list[tuple[int, bool]]) -> None:
    books = books_of(book("first", *allowances))
    assert rerated(rated(books, calls), books, books).fresh == []


@pytest.mark.parametrize(
    ("allowances", "seconds", "changed", "expected"),
    [
        # 90 s at 0.60 and a fee of 0.10 are 1.00. Nothing pays: all is dearer.
        ((), 90, {"national": "0.80"}, Fraction(30, 100)),
        # 2 minutes pay for all of it, the fee as well.
        (ALLOWANCES[:1], 90, {"national": "0.80", "fee": "0.50"}, Fraction(0)),
        # 1 minute pays for 60 of 90 s: 30 s are dearer.
        (ALLOWANCES[1:2], 90, {"national": "0.80"}, Fraction(10, 100)),
        # 2 units of 45 s pay for all.
        (ALLOWANCES[2:3], 90, {"national": "0.80"}, Fraction(0)),
        # 1 euro pays for all, and for as much of what is dearer now.
        (ALLOWANCES[3:], 90, {"national": "0.80"}, Fraction(30, 100)),
        # What costs less than was paid costs nothing, and is not given back.
        (ALLOWANCES[3:], 90, {"national": "0.20"}, Fraction(0)),
    ],
)
def test_what_is_left_to_pay_is_priced_anew(allowances: tuple[str, ...], seconds: int, changed: dict[str, str], expected: Fraction) -> None:
    before = books_of(book("first", *allowances, crossing="start"))
    after = books_of(book("second", *allowances, crossing="start", **changed))
    assert difference(rerated(rated(before, [(seconds, True)]), before, after)) == expected


def test_what_an_allowance_paid_stays_paid_in_a_book_that_has_none() -> None:
    before, after = books_of(book("first", ALLOWANCES[1])), books_of(book("second", national="0.80"))
    (fact,) = rerated(rated(before, [(50, True), (59, True)]), before, after).fresh
    assert (fact.usage_id, [part.charged_quantity for part in fact.new], difference(Reratings([fact]))) == (
        "u1",
        [49],
        Fraction(49 * 20, 6000),
    )

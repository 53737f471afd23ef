"""Re-rating usage that allowances paid for, wholly or in part: what they paid stays paid, and only what is left is priced anew."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import Charge, ChargeKind, UsageReceived
from libs.periods import Period
from libs.pricing import RateBooks
from services.rating.domain.deciding import Rated, Rater, rated_fact
from services.rating.domain.drawing import draw_allowances, plan_draws
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from services.rating.domain.repricing import Repricer, Shelf, Standing
from services.rating.domain.rerating import Rerater, Reratings
from tests.books import read_book
from tests.examples import examples

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
    return RateBooks([read_book(text, "book.yaml")])


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


def opened(id: str, price_id: str, offering_id: str = "plan") -> Charge:
    return Charge(
        id=id,
        account_id="ada",
        product_id="line",
        product_name="Plan",
        offering_id=offering_id,
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


@examples(80)
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


class Again:
    """Calls that are re-rated again and again, each time from what stands then."""

    def __init__(self, calls: Sequence[Rated], books: RateBooks, product: Product = LINE) -> None:
        self._books = books
        self.product = product
        self._charges = {charge.id: opened(charge.id, charge.price.price_id) for each in calls for charge, _ in each.parts}
        self._standings = [Standing.of(each.usage, rated_fact(each)) for each in calls]

    def rerate(self, preferred: str, *, by_present_offering: bool = False) -> Reratings:
        """By the prices of that book."""
        shelf = Shelf.of(self._books, next(book for book in self._books.books if book.id == preferred))
        repricer = Repricer(ADA, shelf, self._charges, {"line": self.product}, by_present_offering)
        told = Rerater("r", repricer, NOW).rerate(self._standings)
        facts = {fact.usage_id: fact for fact in told.fresh}
        for part in (part for fact in told.fresh for part in fact.new):
            offering_id = self.product.offering_id if by_present_offering else "plan"
            self._charges.setdefault(part.charge_id, opened(part.charge_id, part.price_id, offering_id))
        self._standings = [
            replace(each, parts=facts[each.usage.id].new, number=each.number + 1) if each.usage.id in facts else each
            for each in self._standings
        ]
        return told


@examples(150)
@given(
    st.lists(st.sampled_from(ALLOWANCES), unique=True),
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=5),
    st.lists(st.tuples(st.booleans(), st.sampled_from(["0.20", "0.80"]), st.sampled_from(["0", "0.50"])), min_size=1, max_size=3),
    st.sampled_from(["split", "start"]),
)
def test_twice_is_once_and_the_old_book_gives_back_what_others_took(
    allowances: list[str], calls: list[tuple[int, bool]], others: list[tuple[bool, str, str]], crossing: str
) -> None:
    """Whether those other books have the allowances or not."""
    first = book("b0", *allowances, crossing=crossing)
    texts = [
        book(f"b{number}", *(allowances if has else ()), national=national, fee=fee)
        for number, (has, national, fee) in enumerate(others, start=1)
    ]
    dated = [text.replace("2026-01-01", f"2026-01-{number:02d}") for number, text in enumerate([first, *texts], start=1)]
    again = Again(rated(books_of(first), calls), RateBooks([read_book(text, "book.yaml") for text in dated]))
    moved = Fraction(0)
    for number in [*range(1, len(dated)), 0]:
        moved += difference(again.rerate(f"b{number}"))
        assert again.rerate(f"b{number}").fresh == []
    assert moved == 0


@pytest.mark.parametrize("allowance", ALLOWANCES)
def test_an_offering_of_the_same_prices_changes_nothing_though_it_has_no_allowance(allowance: str) -> None:
    """And from one of other prices, where it stays until another is asked for, it comes back."""
    text = book("first", allowance, crossing="start")
    same = book("first", crossing="start").partition("  plan:\n")[2]
    both = books_of(f"{text}  same:\n{same}  dear:\n{same.replace('0.60', '0.80')}")
    calls = rated(books_of(text), [(90, True), (100, True)])
    assert Again(calls, both, replace(LINE, offering_id="same")).rerate("first", by_present_offering=True).fresh == []

    moved = Again(calls, both, replace(LINE, offering_id="dear"))
    taken = difference(moved.rerate("first", by_present_offering=True))
    assert taken > 0
    assert moved.rerate("first").fresh == []
    moved.product = LINE
    assert taken + difference(moved.rerate("first", by_present_offering=True)) == 0

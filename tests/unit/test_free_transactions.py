"""Events that pay whole usages of prices in money: so many free transactions a month, whatever their amounts."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.audit.domain.usages import check_price
from libs.contracts import UsageRated
from libs.pricing import PricedUsage
from services.rating.documents import rated_document
from services.rating.domain.deciding import rated_fact
from services.rating.domain.holdings import Account
from services.rating.domain.repricing import Repricer, Shelf, Standing
from tests.drawing_world import DrawingWorld, book, product, taken, to_pay, usage
from tests.unit.test_audit_allowances import stored
from tests.unit.test_rerating_allowances import opened

PRICES = """
- {id: payments, description: Payments, match: {usage_type: payment}, percentage: {rate: RATE, fixed: 0.10, minimum: 1.75, maximum: 12}}
- {id: visits, description: Visits, match: {usage_type: visit}, price: {amount: 30, per: 1 event}}
- id: purchases
  description: Purchases
  match: {usage_type: purchase}
  increments: none
  graduated: [{up_to: 100 money, price: {amount: 1, per: 100 money}}, {price: {amount: 2, per: 100 money}}]
"""
FREE = "- {id: free, description: Free, amount: %s event, covers: {usage_types: [payment, visit, purchase]}%s}"
BUCKET = "product|line|basic|free|event|2026-03-01"


def world(count: str = "3", more: str = "", others: str = "") -> DrawingWorld:
    return DrawingWorld.of(book(FREE % (count, more) + others, PRICES.replace("RATE", "2.99")))


def payment(id: str, amount: Any, **fields: Any) -> Any:
    return usage(id, amount, unit="money", kind="payment", **fields)


def test_a_transaction_takes_one_event_and_owes_nothing_whatever_its_amount() -> None:
    rated = world("2").rate(payment("a", 10_000), payment("b", "0.01"), payment("c", 100))
    assert [(taken(each), to_pay(each), each.priced.charged_quantity) for each in rated] == [
        ({BUCKET: 1}, 0, 0),
        ({BUCKET: 1}, 0, 0),
        ({}, Fraction("3.09"), 100),
    ]
    fact = rated_fact(rated[0])
    assert (fact.allowances[0].quantity, fact.allowances[0].denominator) == (1, 1)
    assert UsageRated.from_message(fact.to_message()) == fact


def test_what_is_counted_in_events_and_what_is_paid_whole_draw_from_one_bucket() -> None:
    rated = world("4").rate(usage("a", 2, unit="event", kind="visit"), payment("b", 500), usage("c", 2, unit="event", kind="visit"))
    assert [(taken(each)[BUCKET], to_pay(each)) for each in rated] == [(2, 0), (1, 0), (1, 30)]


def test_a_transaction_that_is_paid_whole_does_not_count_for_the_month() -> None:
    rated = world("1").rate(*(usage(id, 100, unit="money", kind="purchase") for id in "ab"))
    assert [(taken(each), each.priced.charged_quantity) for each in rated] == [({BUCKET: 1}, 0), ({}, 100)]


def test_half_an_event_pays_nothing_and_money_pays_what_is_left() -> None:
    rated = world("1.5", others="\n- {id: credit, description: Credit, amount: 2.00}").rate(payment("a", 100), payment("b", 100))
    assert [(taken(each).get(BUCKET), to_pay(each)) for each in rated] == [(1, 0), (None, Fraction("1.09"))]


def test_what_is_left_rolls_over_whole() -> None:
    free = world("2", ", rollover: {max: 1 event}")
    march = free.rate(payment("a", 100))
    april = free.rate(*(payment(id, 100, at="2026-04-02T10:00:00+02:00") for id in "bcde"))
    assert [to_pay(each) for each in (*march, *april)] == [0, 0, 0, 0, Fraction("3.09")]


def test_an_allowance_of_events_that_names_nothing_pays_none_of_money() -> None:
    unnamed = DrawingWorld.of(book("- {id: free, description: Free, amount: 3 event}", PRICES.replace("RATE", "2.99")))
    (rated,) = unnamed.rate(payment("a", 100))
    assert (taken(rated), to_pay(rated)) == ({}, Fraction("3.09"))


@pytest.mark.parametrize("amount", [100, "0.37", 10_000])
def test_the_audit_finds_a_transaction_paid_whole_right_and_any_other_wrong(amount: Any) -> None:
    free = world()
    received = payment("u", amount)
    priced = free.books.price_usage("basic", received, time_zone=free.zone, currency=free.currency)
    assert isinstance(priced, PricedUsage)
    offering = free.books.offering("basic", received.started_at, "EUR", "UTC")
    assert offering is not None
    terms = {allowance.id: allowance for allowance in offering.allowances}
    document = stored(rated_document(free.rate(received)[0]))
    assert list(check_price(document, priced, terms)) == []

    (use,) = document["allowances"]
    assert list(check_price({**document, "allowances": [{**use, "quantity": 2}]}, priced, terms))
    assert list(check_price({**document, "charged_quantity": Decimal("0.01")}, priced, terms))


def test_a_transaction_paid_whole_stays_paid_when_it_is_priced_anew() -> None:
    cheap, dear = (book(FREE % ("1", ""), PRICES.replace("RATE", rate), id=rate) for rate in ("2.99", "5"))
    received = [payment("a", 100), payment("b", 200)]
    rated = [rated_fact(each) for each in DrawingWorld.of(cheap).rate(*received)]
    books = DrawingWorld.of(cheap, dear.replace("2020-01-01", "2020-01-02")).books
    charges = {fact.charge_id: opened(fact.charge_id, fact.price_id, "basic") for fact in rated}
    repricer = Repricer(Account("ada", "EUR", "Europe/Madrid"), Shelf.of(books), charges, {"line": product("line")})
    anew = [repricer.price(Standing.of(usage, fact), "basic") for usage, fact in zip(received, rated, strict=True)]
    assert [each.amount for each in anew if isinstance(each, PricedUsage)] == [0, Fraction("10.10")]


@given(
    amounts=st.lists(st.decimals(min_value=0, max_value=20_000, places=2), max_size=10),
    count=st.integers(1, 5),
    at_a_time=st.integers(1, 4),
)
def test_the_first_so_many_transactions_are_free_and_the_others_cost_what_they_cost(
    amounts: list[Decimal], count: int, at_a_time: int
) -> None:
    free, dear = world(str(count)), world("1", ", expires: 2020-01-01")
    payments = [payment(f"u-{place}", amount) for place, amount in enumerate(amounts)]
    rated = [each for start in range(0, len(payments), at_a_time) for each in free.rate(*payments[start : start + at_a_time])]
    full = dear.rate(*payments)

    left = count
    for each, whole in zip(rated, full, strict=True):
        # What costs nothing anyway takes nothing.
        is_free = bool(whole.priced.charged_quantity) and left > 0
        left -= is_free
        assert to_pay(each) == (0 if is_free else to_pay(whole))
        assert taken(each) == ({BUCKET: 1} if is_free else {})

"""Usages that were split or that drew from allowances beside their prices; buckets, tiers and re-ratings beside what made them."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from bson.decimal128 import Decimal128

from libs.audit.domain.allowances import Consumed, check_bucket
from libs.audit.domain.difference import Category
from libs.audit.domain.reratings import check_reratings
from libs.audit.domain.terms import CountingCharge, check_terms
from libs.audit.domain.usages import check_price
from libs.contracts import ChargeTiers, LineRounding, Tier
from libs.money import RoundingMode
from libs.pricing import CompiledPrice, PricedUsage
from services.rating.documents import rated_document
from tests.drawing_world import DrawingWorld, book, usage

PRICES = """
- {id: calls, description: Calls, match: {usage_type: voice, time_band: day}, price: {amount: 0.20, per: 60 s}, setup_fee: 0.15}
- {id: night, description: Night, match: {usage_type: voice, time_band: night}, price: {amount: 0.10, per: 60 s}}
- id: texts
  description: Texts
  match: {usage_type: sms}
  graduated: [{up_to: 10 message, price: {amount: 0.10, per: 1 message}}, {price: {amount: 0.05, per: 1 message}}]
"""
ALLOWANCES = """
- {id: minutes, description: Minutes, amount: 100 s, covers: {usage_types: voice}}
- {id: credit, description: Credit, amount: 0.10, covers: {usage_types: voice}, priority: 9}
"""
BANDS = "crossing: split\ntime_bands:\n  day: {hours: 08:00-18:00}\n  night: {hours: 18:00-08:00}\n"
WORLD = DrawingWorld.of(book(ALLOWANCES, PRICES, more=BANDS))
(OFFERING,) = (found for rate_book in WORLD.books.books for found in rate_book.offerings.values())
TERMS = {allowance.id: allowance for allowance in OFFERING.allowances}
AT_NIGHTFALL = "2026-03-02T17:59:00+01:00"


def stored(value: Any) -> Any:
    """As it comes back from MongoDB."""
    if isinstance(value, dict):
        return {name: stored(each) for name, each in value.items()}
    if isinstance(value, list):
        return [stored(each) for each in value]
    return value.to_decimal() if isinstance(value, Decimal128) else value


def rated(quantity: Any, **fields: Any) -> tuple[dict[str, Any], PricedUsage]:
    """A usage as it is stored by a world whose allowances are full, and its price without them."""
    received = usage("u", quantity, **fields)
    world = DrawingWorld(WORLD.books, WORLD.products)
    priced = world.books.price_usage("basic", received, time_zone=world.zone, currency=world.currency)
    assert isinstance(priced, PricedUsage)
    return stored(rated_document(world.rate(received)[0])), priced


@pytest.mark.parametrize(
    ("quantity", "fields"),
    [(60, {}), (100, {}), (130, {}), (103, {}), (5_000, {}), ("60.5", {}), (90, {"at": AT_NIGHTFALL}), (500, {"at": AT_NIGHTFALL})],
)
def test_a_usage_less_what_allowances_paid_is_right(quantity: Any, fields: dict[str, str]):
    document, priced = rated(quantity, **fields)
    assert document["allowances"]
    assert list(check_price(document, priced, TERMS)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"charged_quantity": 29},
        {"numerator": 0},
        {"allowances": [{"allowance_id": "minutes", "bucket_id": "b", "quantity": 99, "denominator": 1}]},
        {"allowances": [{"allowance_id": "unknown", "bucket_id": "b", "quantity": 100, "denominator": 1}]},
        {"price_id": "night"},
    ],
)
def test_any_other_draw_or_remainder_differs(change: dict[str, Any]):
    document, priced = rated(130)
    differences = list(check_price({**document, **change}, priced, TERMS))
    assert {difference.category for difference in differences} == {Category.USAGE_PRICE}


def test_a_split_usage_is_right_part_by_part():
    received = usage("u", 120, at=AT_NIGHTFALL)
    world = DrawingWorld.of(book("- {id: none, description: None, amount: 1 message}", PRICES, more=BANDS))
    priced = world.books.price_usage("basic", received, time_zone=world.zone, currency=world.currency)
    assert isinstance(priced, PricedUsage)
    document = stored(rated_document(world.rate(received)[0]))
    assert [part["price_id"] for part in document["parts"]] == ["calls", "night"]
    assert list(check_price(document, priced)) == []
    first, second = document["parts"]
    for parts in ([second, first], [first], [{**first, "charged_quantity": 61}, second], [first, {**second, "numerator": 1}]):
        assert list(check_price({**document, "parts": parts}, priced))
    assert list(check_price({**document, "numerator": document["numerator"] + 1}, priced))


@pytest.mark.parametrize(
    ("buckets", "uses", "differs"),
    [
        ([100], [40, 60], False),
        ([100], [40], True),
        ([0], [], False),
        ([1], [], True),
        ([], [1], True),
    ],
)
def test_a_bucket_gave_what_usages_took(buckets: list[int], uses: list[int], differs: bool):
    found = check_bucket("b", [Consumed(Fraction(amount)) for amount in buckets], [Consumed(Fraction(amount)) for amount in uses])
    assert [difference.category for difference in found] == [Category.BUCKET] * differs


def price(type: str) -> CompiledPrice:
    received = usage("u", 1, unit="message" if type == "sms" else "s", kind=type)
    priced = WORLD.books.price_usage("basic", received, time_zone=WORLD.zone, currency=WORLD.currency)
    assert isinstance(priced, PricedUsage)
    return priced.price


TEXTS = price("sms").tiers
OTHER = ChargeTiers(model="graduated", tiers=(Tier(amount=Decimal("0.10"), per=Decimal(1)),))


def counted_before(quantity: int, usage_count: int | None = None) -> ChargeTiers:
    assert TEXTS is not None
    return TEXTS.model_copy(update={"counted_before": Decimal(quantity), "usage_count_before": usage_count})


@pytest.mark.parametrize(
    ("type", "charge", "differs"),
    [
        ("voice", CountingCharge("c", None, None), False),
        ("voice", CountingCharge("c", TEXTS, None), True),
        ("voice", CountingCharge("c", None, LineRounding(mode=RoundingMode.UP)), True),
        ("sms", CountingCharge("c", TEXTS, None), False),
        ("sms", CountingCharge("c", OTHER, None), True),
        ("sms", CountingCharge("c", None, None), True),
        ("sms", CountingCharge("c", counted_before(7, 2), None, Decimal(7), 2), False),
        ("sms", CountingCharge("c", counted_before(0, 2), None, Decimal(0), 2), False),
        ("sms", CountingCharge("c", counted_before(0, 2), None, Decimal(7), 2), True),
        ("sms", CountingCharge("c", counted_before(7, 1), None, Decimal(7), 2), True),
        # Opened when nobody counted usages.
        ("sms", CountingCharge("c", counted_before(7), None, Decimal(7), 2), False),
        ("sms", CountingCharge("c", counted_before(0), None, Decimal(7), 2), True),
    ],
)
def test_a_charge_has_the_terms_of_its_price_and_counts_from_where_the_month_stood(type: str, charge: CountingCharge, differs: bool):
    assert [difference.category for difference in check_terms(charge, price(type))] == [Category.CHARGE_TERMS] * differs


def part(numerator: int, quantity: int = 60) -> dict[str, Any]:
    return {"price_id": "calls", "charge_id": "c", "charged_quantity": quantity, "numerator": numerator, "denominator": 100}


def rerating(number: int, old: int, new: int, posted: int, moved: int = 0) -> dict[str, Any]:
    posting = {"charge_id": "c", "usage_count": 0, "quantity": Decimal(moved), "numerator": posted, "denominator": Decimal(100)}
    return {"number": number, "old": [part(old)], "new": [part(new)], "postings": [posting]}


@pytest.mark.parametrize(
    ("reratings", "differs"),
    [
        ([], False),
        ([rerating(1, 20, 30, 10)], False),
        ([rerating(1, 20, 30, 10), rerating(2, 30, 20, -10)], False),
        ([rerating(1, 20, 30, 9)], True),
        ([rerating(1, 20, 30, 10, moved=1)], True),
        ([rerating(1, 21, 30, 9)], True),
        ([rerating(2, 20, 30, 10)], True),
        ([rerating(1, 20, 30, 10), rerating(2, 20, 30, 10)], True),
    ],
)
def test_a_rerating_goes_on_from_what_stood_and_posts_what_differs(reratings: list[dict[str, Any]], differs: bool):
    found = list(check_reratings("u", [part(20)], reratings))
    assert {difference.category for difference in found} == ({Category.USAGE_RERATED} if differs else set())


def test_what_was_never_rated_is_not_rerated():
    assert [difference.expected for difference in check_reratings("u", [], [rerating(1, 20, 30, 10)])] == ["a rated usage"]

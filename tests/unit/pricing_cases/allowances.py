"""Allowances: what burns first, what is left, what rolls over, and quota of a prepaid balance."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.pricing.allowance import Bucket, BurnOrder, Stock, draw
from libs.pricing.reservation import Balance, reserve
from libs.pricing.tiers import tiers_amount
from services.rating.domain.deciding import Rated
from tests.drawing_world import DrawingWorld, book, taken, to_pay, usage
from tests.unit.pricing_cases import IN_WORDS, Case, Translation

START = datetime(2026, 3, 1, tzinfo=UTC)
CALLED = {"USA": "+12125550001", "EU": "+33123456789"}


def alw_01(case: Case) -> dict[str, list[Any]]:
    """The groups burn in the order in which they are given; the two-step tariff counts what is over."""
    given = case["given"]
    first, second = given["overage_usa"]["steps"]
    amounts = {name: amount.split()[0] for name, amount in given["groups"].items()}
    allowances = "\n".join(
        f"- {{id: {name}, description: {name}, amount: {amount} event, covers: {{zones: usa}}, priority: {priority}}}"
        for priority, (name, amount) in enumerate(amounts.items(), 1)
    )
    prices = f"""
- id: usa
  description: USA
  match: {{usage_type: call, zone: usa}}
  graduated:
    - {{up_to: {first["to"]} event, price: {{amount: {first["unit"]}, per: 1 event}}}}
    - {{price: {{amount: {second["unit"]}, per: 1 event}}}}
- {{id: eu, description: EU, match: {{usage_type: call}}, price: {{amount: {given["overage_eu"].split()[0]}, per: 1 event}}}}"""
    world = DrawingWorld.of(book(allowances, prices, more='zones:\n  usa: ["+1"]\n'))
    result: dict[str, list[Any]] = {"in_allowance": [], "over": [], "charge": []}
    over_usa = Decimal(0)
    for place, (where, units) in enumerate(done.split() for done in case["do"]):
        (rated,) = world.rate(usage(f"u-{place}", units, unit="event", kind="call", called_number=CALLED[where]))
        over = rated.priced.charged_quantity
        charge = to_pay(rated)
        if (tiers := rated.priced.price.tiers) is not None:
            charge += tiers_amount(tiers, over_usa + over) - tiers_amount(tiers, over_usa)
            over_usa += over
        result["in_allowance"].append(sum(taken(rated).values(), Fraction(0)))
        result["over"].append(over)
        result["charge"].append(charge)
    return result


def alw_03(case: Case) -> dict[str, list[Any]]:
    """Increments of a tenth: usage comes with one decimal."""
    group, overage = case["given"]["group"].split()[0], case["given"]["overage"].split()[0]
    world = _one_allowance(
        f"amount: {group} event", f"match: {{usage_type: voice}}, price: {{amount: {overage}, per: 1 event}}, increments: 0.1"
    )
    rated = [_rated(world, place, quantity) for place, quantity in enumerate(case["do"])]
    return {
        "in_allowance": [sum(taken(each).values(), Fraction(0)) for each in rated],
        "over": [each.priced.charged_quantity for each in rated],
        "charge": [to_pay(each) for each in rated],
    }


def alw_05(case: Case) -> dict[str, Any]:
    """Two allowances of one offering, by priority."""
    allowances = "\n".join(
        f"- {{id: {given['grant']}, description: Grant, amount: {given['amount']} event, priority: {given['priority']}}}"
        for given in case["given"]
    )
    world = DrawingWorld.of(book(allowances, _PER_EVENT))
    rated = _rated(world, 0, _number(case["do"]))
    left = {id.split("|")[3]: amount for id, amount in world.left().items()}
    return {**left, "overage": rated.priced.charged_quantity}


def alw_07(case: Case) -> dict[str, Any]:
    """A hundred thousand buckets, of which one expires a day before the others."""
    count, amount, days, fewer = _numbers(case["given"])
    assert (days, fewer) == (30, 29)
    orders = [
        BurnOrder(1, START + timedelta(days=fewer if place == count // 2 else days), 1, f"{place:06}", START) for place in range(count)
    ]
    buckets = [Bucket(str(place), amount) for place in range(count)]
    in_order = sorted(zip(orders, buckets, strict=True))
    drawn, left_to_pay = draw((Stock(bucket) for _, bucket in in_order), _number(case["do"]))
    assert left_to_pay == 0
    after = {bucket.id: bucket for bucket in buckets} | {each.bucket.id: each.bucket for each in drawn}
    soonest = after.pop(str(count // 2))
    (others,) = {bucket.left() for bucket in after.values()}
    return {"the_29_day_grant": soonest.left(), "every_other": others}


def alw_09(case: Case) -> Fraction:
    """A monthly allowance: what is left in April of what was granted in March."""
    given = case["given"]
    rollover = f"{{max: {given['max_rollover']} event, min: {given['min_rollover']} event}}"
    world = _one_allowance(f"amount: {given['grant']} event, rollover: {rollover}", f"match: {{usage_type: voice}}, {_PRICE}")
    _rated(world, 0, _number(case["do"]))
    april = _rated(world, 1, 1_000, at="2026-04-10T10:00:00+02:00")
    return taken(april)["product|line|basic|free|event|2026-03-01"]


def alw_11(case: Case) -> dict[str, Any]:
    """A grant that covers something else stands for none."""
    prices = f"{_PER_EVENT}\n- {{id: other, description: Other, match: {{usage_type: other}}, {_PRICE}}}"
    world = DrawingWorld.of(book("- {id: free, description: Free, amount: 100 event, covers: {prices: other}}", prices))
    return {"overage": _rated(world, 0, _number(case["do"])).priced.charged_quantity}


def alw_13(case: Case) -> object:
    """Each line of `do` must be granted what the line of `expect` beside it says."""
    balance = Balance(Fraction(_numbers(case["given"])[0]))
    for done, expected in zip(case["do"], case["expect"], strict=True):
        session, *_ = done.split()
        used = Fraction(match[1]) if (match := re.search(r"used (\d+)", done)) else Fraction(0)
        wanted = re.search(r"reserve (\d+)", done)
        assert wanted is not None
        balance, grant = reserve(balance, session, used=used, wanted=Fraction(wanted[1]))
        granted = re.match(r"granted (\d+)", expected)
        assert granted is not None
        assert grant.amount == int(granted[1])
        assert grant.is_partial == ("partial" in expected)
        for what, amount in (("balance", balance.amount), ("reserved", balance.reserved)):
            if told := re.search(rf"{what} (\d+)", expected):
                assert amount == int(told[1])
    return IN_WORDS


def alw_15(case: Case) -> Fraction:
    """A factor is how much usage takes one unit: 60 s, 1024 byte, 1 message."""
    given = case["given"]
    factors = {"voice": "s", "data": "byte", "sms": "message"}
    stated = ", ".join(f"{name}: {given['factors'][name]} {unit}" for name, unit in factors.items())
    allowance = f"- {{id: generic, description: Generic, amount: {given['generic_balance']} unit, factors: {{{stated}}}}}"
    prices = "\n".join(
        f"- {{id: {name}, description: {name}, match: {{usage_type: {name}}}, price: {{amount: 1, per: 1 {unit}}}}}"
        for name, unit in factors.items()
    )
    world = DrawingWorld.of(book(allowance, prices))
    (rated,) = world.rate(usage("u", _number(case["do"]), unit="message", kind="sms"))
    assert rated.priced.charged_quantity == 0
    (left,) = world.left().values()
    return left


def con_01(case: Case) -> Fraction:
    """A balance of money that pays each call, fee included."""
    seconds, price, fee = _numbers(case["given"]["call"].replace("per s", ""))
    world = DrawingWorld.of(
        book(
            f"- {{id: balance, description: Balance, amount: {case['given']['balance']}, recurrence: once}}",
            f"- {{id: calls, description: Calls, match: {{usage_type: voice}}, price: {{amount: {price}, per: 1 s}}, setup_fee: {fee}}}",
        )
    )
    for place in range(_number(case["do"])):
        (rated,) = world.rate(usage(f"u-{place}", seconds))
        assert to_pay(rated) == 0
    (left,) = world.left().values()
    return left


_PRICE = "price: {amount: 1, per: 1 event}"
_PER_EVENT = f"- {{id: events, description: Events, match: {{usage_type: voice}}, {_PRICE}}}"


def _one_allowance(terms: str, price: str) -> DrawingWorld:
    return DrawingWorld.of(book(f"- {{id: free, description: Free, {terms}}}", f"- {{id: price, description: Price, {price}}}"))


def _rated(world: DrawingWorld, place: int, quantity: Any, **fields: Any) -> Rated:
    (rated,) = world.rate(usage(f"u-{place}", quantity, unit="event", **fields))
    return rated


def _number(text: str) -> int:
    return _numbers(text)[0]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


CASES: dict[str, Translation] = {
    "ALW-01": alw_01,
    "ALW-03": alw_03,
    "ALW-05": alw_05,
    "ALW-07": alw_07,
    "ALW-09": alw_09,
    "ALW-11": alw_11,
    "ALW-13": alw_13,
    "ALW-15": alw_15,
    "CON-01": con_01,
}

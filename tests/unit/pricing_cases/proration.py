"""Fees: parts of periods, net and gross, credits, phases, and quantities that last. Each goes from a rate book to an exact amount."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from libs.billing.discounts import discount_wanted
from libs.billing.taxes import Tax, TaxedAmount, exact_taxes
from libs.money import round_to_minor_unit
from libs.periods import Period, calendar_month, first_moment, time_zone
from libs.pricing import RateBooks, RecurringPrice, parse_rate_book
from libs.pricing.rate_book import Offering
from libs.pricing.recurring import Fee, correction, fee_of, periods_between
from libs.pricing.recurring_period import FeePeriod
from libs.pricing.recurring_price import Boundary
from libs.pricing.recurring_share import Subscription
from libs.pricing.time_weighted import time_weighted_quantity
from tests.unit.pricing_cases import IN_WORDS, Case, Translation

ZONE = "Asia/Jerusalem"
DAY = timedelta(days=1)


def offering(fees: str, more: str = "") -> Offering:
    """An offering with these recurring prices, each on a line."""
    listed = "\n".join(f"      - {{id: fee-{number}, description: Fee, {fee}}}" for number, fee in enumerate(fees.splitlines()))
    book = f"id: case\neffective_from: 2000-01-01\ncurrency: EUR\nofferings:\n  plan:\n    recurring_prices:\n{listed}\n{more}"
    found = RateBooks([parse_rate_book(book, "case.yaml")]).offering("plan", datetime(2012, 1, 1, tzinfo=UTC), "EUR", "UTC")
    assert found is not None
    return found


def fee(terms: str) -> RecurringPrice:
    """The one recurring price of an offering."""
    (price,) = offering(terms).recurring_prices
    return price


def held(
    first: str | date, last: str | date | None = None, started_by: Boundary = Boundary.START, ended_by: Boundary = Boundary.END
) -> Subscription:
    """A subscription from the first to the last local day, both included."""
    start = first_moment(_date(first), ZONE)
    return Subscription(start, start, None if last is None else first_moment(_date(last) + DAY, ZONE), started_by, ended_by)


def fees(price: RecurringPrice, subscription: Subscription, first: str | date, last: str | date) -> list[Fee]:
    """The fees of the periods that have a day from the first to the last, both included."""
    start, end = first_moment(_date(first), ZONE), first_moment(_date(last) + DAY, ZONE)
    periods = periods_between(price, subscription, start, end, ZONE)
    return [found for period in periods if (found := fee_of(price, subscription, period, ZONE)) is not None]


def owed(price: RecurringPrice, subscription: Subscription, first: str | date, last: str | date) -> Fraction:
    """What those fees come to."""
    return sum((found.exact for found in fees(price, subscription, first, last)), Fraction(0))


def net_and_gross(net: Fraction, vat: str) -> dict[str, Fraction]:
    """The amount without tax and with it, nothing rounded."""
    (tax,) = exact_taxes(TaxedAmount(Decimal(1), (Tax("vat", Decimal(vat.removesuffix("%"))),)))
    return {"net": net, "gross": net * (1 + tax)}


def _parts(pattern: str, words: str) -> tuple[str, ...]:
    found = re.fullmatch(pattern, words)
    assert found is not None, words
    return found.groups()


def _date(day: str | date) -> date:
    return day if isinstance(day, date) else date.fromisoformat(day)


def pro_01(case: Case) -> list[Fraction]:
    """A fee of 1 a month counts months."""
    month = fee("amount: 1, period: month")
    spans = [span.split("..") for span in case["do"]]
    return [owed(month, held(first, last), first, last) for first, last in spans]


def pro_03(case: Case) -> dict[str, Fraction]:
    given = case["given"]
    amount = given["plan"].removesuffix(" per month in arrears")
    first, last = given["active"].removesuffix(" inclusive").split("..")
    return net_and_gross(owed(fee(f"amount: {amount}, period: month, charged: arrears"), held(first, last), first, last), given["vat"])


def pro_05(case: Case) -> dict[str, Fraction]:
    """The discount is the book's as well, taken before anything is rounded."""
    given = case["given"]
    (starts,) = (key.removeprefix("active from ") for key in given if key.startswith("active from "))
    percent = given["discount"].removesuffix("%")
    discounts = f"    discounts:\n      - {{id: tenth, description: Discount, percent: {percent}, scope: recurring}}\n"
    plan = offering(f"amount: {given['plan']}, period: month", discounts)
    (price,), (discount,) = plan.recurring_prices, plan.adjustments.discounts_before_tax
    whole = owed(price, held(starts), starts, "2018-05-31")
    return net_and_gross(whole - discount_wanted(discount, whole * 100, "EUR") / 100, given["vat"])


def pro_07(case: Case) -> dict[str, Fraction]:
    given = case["given"]
    assert (given["prorate"], given["active"]) == (False, "1-14 May")
    price = fee(f"amount: {given['plan']}, period: month, proration: none")
    return net_and_gross(owed(price, held("2018-05-01", "2018-05-14"), "2018-05-01", "2018-05-31"), given["vat"])


def pro_09(case: Case) -> dict[str, Fraction]:
    """The amount and the tax are those of the plan of PRO-05."""
    assert case["area"] == "start not prorated, end prorated; active 10-28 March"
    amount = case["arith"].split("*")[0]
    price = fee(f"amount: {amount}, period: month, proration: {{start: none, end: by_day}}")
    return net_and_gross(owed(price, held("2018-03-10", "2018-03-28"), "2018-03-01", "2018-03-31"), "17%")


def pro_11(case: Case) -> dict[str, Fraction]:
    assert case["area"] == "subscriber leaves and comes back in the same month (1-5 and 25-31 March)"
    amount = case["arith"].split("*")[0]
    price = fee(f"amount: {amount}, period: month")
    times = (held("2018-03-01", "2018-03-05"), held("2018-03-25", "2018-03-31"))
    return net_and_gross(sum((owed(price, time, "2018-03-01", "2018-03-31") for time in times), Fraction(0)), "17%")


def pro_13(case: Case) -> list[Decimal]:
    given = case["given"]
    price = _fixed_30(given["plan"].removesuffix(" monthly in advance"), given["bill_day"])
    starts = [day.removeprefix("start ") for day in case["do"]]
    return [round_to_minor_unit(owed(price, held(start), start, start), "EUR") for start in starts]


def pro_15(case: Case) -> dict[str, Decimal]:
    """Cancelled on the 15th: the 14th is its last day."""
    amount, first, beyond = _parts(r"(\S+) billed (\S+)\.\.(\S+)", case["given"]["plan"])
    price = _fixed_30(amount, date.fromisoformat(first).day)
    cancelled = date.fromisoformat(case["do"].removeprefix("cancel "))
    last_paid = date.fromisoformat(beyond) - DAY
    paid = owed(price, held(first), first, last_paid)
    due = owed(price, held(first, cancelled - DAY), first, last_paid)
    repair = round_to_minor_unit(correction(paid, due), "EUR")
    return {"repair": repair, "account_credit": -repair}


def _fixed_30(amount: str, bill_day: int) -> RecurringPrice:
    return fee(f"amount: {amount}, period: month, anchor: {bill_day}, charged: advance, proration: fixed_30")


def pro_17(case: Case) -> dict[str, Decimal]:
    """On the day of a change the new offering counts. The credit is what the repair leaves after the new fee."""
    line, adjustment = (key if value is None else value for key, value in case["given"].items())
    amount, first = _parts(r"(\S+) for (\S+)\.\.06-01", line)
    (adjusted,) = _parts(r"adjusted by (-\d+)", adjustment)
    changed, new_amount = _parts(r"change on (\S+) to a (\S+) plan", case["do"])
    old, new = (fee(f"amount: {asked}, period: month, charged: advance") for asked in (amount, new_amount))
    until = date.fromisoformat(changed) - DAY
    paid = owed(old, held(first), first, "2012-05-31")
    due = owed(old, held(first, until, ended_by=Boundary.CHANGE), first, "2012-05-31")
    repair = round_to_minor_unit(correction(paid, due, Fraction(adjusted)), "EUR")
    begun = round_to_minor_unit(owed(new, held(changed, started_by=Boundary.CHANGE), changed, "2012-05-31"), "EUR")
    return {"new": begun, "repair": repair, "credit": -repair - begun}


def pro_19(case: Case) -> Decimal:
    """The quarter begins on the 15th; the days that are served count out of all of its 91."""
    amount = case["given"]["plan"].removesuffix(" per quarter in arrears")
    first, last = case["do"].removeprefix("subscription runs ").removesuffix(" inclusive").split("..")
    price = fee(f"amount: {amount}, period: quarter, anchor: 15")
    (found,) = fees(price, held(first, last), first, last)
    assert f"{found.fee_period.first}..{found.fee_period.beyond - DAY} ({found.fee_period.days} days)" == case["given"]["period"]
    return round_to_minor_unit(found.exact, "EUR")


def pro_21(case: Case) -> dict[str, Decimal]:
    """Quantities change at noon: what counts is the day."""
    assert case["given"]["price"] == "1 per unit-month"
    price = fee("amount: 1, period: month")
    said = re.findall(r"([+-]\d+) on (?:2023-)?(\d\d-\d\d)", case["do"])
    changes = [(datetime.fromisoformat(f"2023-{day}T12:00").replace(tzinfo=time_zone(ZONE)), int(change)) for change, day in said]
    assert [change for _, change in changes] == [2500, -2000, -200]
    march, april = (next(periods_between(price, held("2023-01-01"), month.start, month.end, ZONE)) for month in map(_month, (3, 4)))
    quantities = {
        "march": time_weighted_quantity(0, changes[:1], march, ZONE),
        "april": time_weighted_quantity(changes[0][1], changes[1:], april, ZONE),
    }
    return {month: round_to_minor_unit(Fraction(price.amount) * quantity, "EUR") for month, quantity in quantities.items()}


def _month(number: int) -> Period:
    return calendar_month(f"2023-{number:02}", ZONE)


def tim_03(case: Case) -> Any:
    """Three months of half a price and then the whole one; the account's day of the start decides, not UTC's."""
    given = case["given"]
    zone = given["zone"]
    started = datetime.fromisoformat(given["start"].split(" ")[0])
    anchored = f"period: month, charged: advance, anchor: {given['bill_day']}"
    prices = offering(f"amount: 5, {anchored}, for_first: 3 months\namount: 10, {anchored}, after: 3 months").recurring_prices
    subscription = Subscription(started, started)
    charged = [
        (period, price.amount, found.told)
        for price in prices
        for period in periods_between(price, subscription, started, datetime(2023, 6, 1, tzinfo=UTC), zone)
        if (found := fee_of(price, subscription, period, zone)) is not None
    ]
    days = [(2, 28), (3, 28), (4, 28), (5, 28), (6, 28)]
    periods = [FeePeriod(date(2023, *first), date(2023, *beyond)) for first, beyond in pairwise(days)]
    assert charged == [(period, Decimal(5 if number < 3 else 10), "") for number, period in enumerate(periods)]
    discounted, full = case["expect"][:3], case["expect"][3]
    said = [f"{period.first}..{period.beyond:%m-%d}" for period in periods]
    assert [words.split()[0].removeprefix("2023-") for words in discounted] == [words.removeprefix("2023-") for words in said[:3]]
    assert said[3].removeprefix("2023-") in full
    return IN_WORDS


CASES: dict[str, Translation] = {
    "PRO-01": pro_01,
    "PRO-03": pro_03,
    "PRO-05": pro_05,
    "PRO-07": pro_07,
    "PRO-09": pro_09,
    "PRO-11": pro_11,
    "PRO-13": pro_13,
    "PRO-15": pro_15,
    "PRO-17": pro_17,
    "PRO-19": pro_19,
    "PRO-21": pro_21,
    "TIM-03": tim_03,
}

"""Prices with a validity of their own: an offering is as many rate books as its list of prices changes, and none changes afterwards."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import TariffAccepted
from libs.pricing import RateBooks
from services.rating.domain.tariffs import Candidate, decide
from services.tmf_gateway.domain.launching import (
    BOOK_IDS,
    answered_offering,
    new_offering,
    patched_offering,
    replanned_offering,
    tariff_facts,
)
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.tmf620 import check_price_change, new_resource

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
ID = "0123456789abcdef" * 2


def day(number):
    return NOW + timedelta(days=number)


def fee(id, start=None, end=None, currency="EUR"):
    """A monthly fee that holds from one day to another, counted from today."""
    bounds = {"startDateTime": start, "endDateTime": end}
    validity = {name: day(number).isoformat() for name, number in bounds.items() if number is not None}
    body = {"name": id, "priceType": "recurring", "price": {"unit": currency, "value": 1}, **({"validFor": validity} if validity else {})}
    return {id: new_resource("ProductOfferingPrice", body, id, NOW, state="Active")}


class Rating:
    """What rating does with what is published."""

    def __init__(self):
        self.tariffs = {}

    def take(self, after, before, now):
        """The offering once its new books were answered; all must be accepted."""
        for fact in tariff_facts(after, before):
            decision = decide(Candidate.of(fact), self.tariffs, now)
            assert isinstance(decision.answer, TariffAccepted), decision.answer
            if decision.tariff is not None:
                self.tariffs[fact.book_id] = decision.tariff
            after = answered_offering(after, decision.answer)
        return after

    def price_ids(self, instant, currency="EUR"):
        """The prices that a customer pays at an instant."""
        offering = RateBooks(tariff.book for tariff in self.tariffs.values()).offering(ID, instant, currency, "UTC")
        return [price.price_id for price in offering.recurring_prices] if offering else None

    def launch(self, prices, now=NOW, **attributes):
        body = {"name": "Mobile", "lifecycleStatus": "Launched", "productOfferingPrice": [{"id": id} for id in prices], **attributes}
        return self.take(new_offering(body, ID, prices, now), None, now)

    def patch(self, stored, prices, now, **attributes):
        patch = {"productOfferingPrice": [{"id": id} for id in prices], **attributes}
        return self.take(patched_offering(stored, patch, prices, now), stored, now)


def test_a_price_that_begins_later_is_a_book_of_its_own():
    rating = Rating()
    stored = rating.launch({**fee("always"), **fee("summer", 10, 20), **fee("autumn", 20)})

    assert [(one["book_id"], one["effective_from"]) for one in stored["publications"]] == [
        (f"catalog-{ID}.1.EUR", NOW),
        (f"catalog-{ID}.1.EUR.2", day(10)),
        (f"catalog-{ID}.1.EUR.3", day(20)),
    ]
    assert all(BOOK_IDS.fullmatch(one["book_id"]) for one in stored["publications"])
    assert [rating.price_ids(day(number)) for number in (0, 10, 20)] == [["always"], ["always", "summer"], ["always", "autumn"]]
    assert stored["resource"]["statusReason"].count("in force as rate book") == 3


def test_a_price_that_begins_later_can_be_put_in_an_offering_that_customers_have():
    rating = Rating()
    stored = rating.launch(fee("always"))
    stored = rating.patch(stored, {**fee("always"), **fee("new", 30)}, day(10))

    assert [one["effective_from"] for one in stored["publications"]] == [NOW, day(30)]
    assert [rating.price_ids(day(number)) for number in (0, 29, 30)] == [["always"], ["always"], ["always", "new"]]


def test_each_currency_has_its_own_times():
    rating = Rating()
    rating.launch({**fee("euros"), **fee("dollars", currency="USD"), **fee("more-dollars", 5, currency="USD")})

    assert [rating.price_ids(day(number), "USD") for number in (0, 5)] == [["dollars"], ["dollars", "more-dollars"]]
    assert len(rating.tariffs) == 3


def test_a_plan_that_is_given_up_leaves_the_prices_that_hold_anyway():
    rating = Rating()
    stored = rating.launch({**fee("always"), **fee("a", 10, 20), **fee("b", 20)})
    stored = rating.patch(stored, fee("always"), day(1))

    assert [rating.price_ids(day(number)) for number in (0, 10, 20, 99)] == [["always"]] * 4
    assert rating.patch(stored, fee("always"), day(2)) == stored


def test_a_plan_that_moves_takes_its_book_with_it():
    rating = Rating()
    stored = rating.launch({**fee("always"), **fee("new", 10)})
    rating.patch(stored, {**fee("always"), **fee("newer", 15)}, day(1))

    assert {id: tariff.book.effective_from for id, tariff in rating.tariffs.items()} == {
        f"catalog-{ID}.1.EUR": NOW,
        f"catalog-{ID}.1.EUR.2": day(15),
    }


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(milliseconds=3)])
def test_a_plan_that_comes_back_at_once_holds_though_the_clocks_of_two_gateways_differ(behind):
    rating = Rating()
    stored = rating.launch({**fee("always"), **fee("new", 10)})
    stored = rating.patch(stored, {**fee("always"), **fee("other", 10)}, day(1))
    rating.patch(stored, {**fee("always"), **fee("new", 10)}, day(1) - behind)

    assert rating.price_ids(day(10)) == ["always", "new"]


def test_what_is_changed_at_once_follows_what_was_in_force_by_another_clock():
    rating = Rating()
    stored = rating.launch(fee("first"))
    stored = rating.patch(stored, fee("second"), day(1))
    stored = rating.patch(stored, fee("third"), day(1) - timedelta(milliseconds=3))

    assert [rating.price_ids(day(number)) for number in (0, 1, 2)] == [["first"], ["second"], ["third"]]


@pytest.mark.parametrize(
    ("prices", "attributes", "refusal", "says"),
    [
        (fee("later", 5), {}, BadRequest, f"none is valid from {day(3).isoformat()[:10]}.*on: let a price begin with the offering"),
        ({**fee("first"), **fee("second", 0, 2)}, {}, BadRequest, f"second was valid until {day(2).isoformat()[:10]}.*take it out"),
        (fee("first"), {"validFor": {"startDateTime": day(-1).isoformat()}}, Conflict, "cannot be earlier"),
        (
            {**fee("first"), **{id: one for number in range(51) for id, one in fee(f"p{number}", 10 + number).items()}},
            {},
            BadRequest,
            "52 times, more than 50",
        ),
    ],
)
def test_what_nobody_could_be_charged_by_is_refused(prices, attributes, refusal, says):
    rating = Rating()
    stored = rating.launch(fee("first"))
    with pytest.raises(refusal, match=says):
        rating.patch(stored, prices, day(3), **attributes)


@pytest.mark.parametrize(
    ("prices", "from_day"), [(fee("later", 5), 0), (fee("short", 0, 5), 5), ({**fee("short", 0, 5), **fee("second", 6)}, 5)]
)
def test_what_is_launched_has_a_price_at_any_time(prices, from_day):
    with pytest.raises(BadRequest, match=f"none is valid from {day(from_day).isoformat()[:10]}"):
        Rating().launch(prices)


def test_a_price_may_be_given_its_end_before_its_successor_comes():
    rating = Rating()
    stored = rating.launch(fee("old"))
    ended = fee("old", None, 10)
    stored = rating.take(replanned_offering(stored, ended, day(1)), stored, day(1))
    assert stored["resource"]["statusReason"].startswith("without any price as rate book")
    for at in (2, 12):
        assert rating.patch(stored, ended, day(at), description="none yet")["publications"] == stored["publications"]
    rating.patch(stored, {**ended, **fee("new", 10)}, day(3))

    assert [rating.price_ids(day(number)) for number in (0, 9, 10)] == [["old"], ["old"], ["new"]]


def with_a_gap(rating):
    """An offering whose price ends on day 10, its prices, of which the next begins on day 20."""
    stored = rating.launch(fee("old"))
    stored = rating.patch(stored, {**fee("old"), **fee("new", 20)}, day(1))
    prices = {**fee("old", None, 10), **fee("new", 20)}
    return rating.take(replanned_offering(stored, prices, day(2)), stored, day(2)), prices


def test_an_offering_that_is_without_a_price_until_a_day_can_be_changed():
    rating = Rating()
    stored, prices = with_a_gap(rating)
    for at in (5, 12):
        assert rating.patch(stored, prices, day(at), description="changed")["publications"] == stored["publications"]
    stored = rating.patch(stored, {**prices, **fee("between", 13)}, day(12))

    assert [rating.price_ids(day(number)) for number in (9, 10, 12, 13, 20)] == [["old"], [], [], ["between"], ["new", "between"]]


def test_an_offering_is_not_left_without_its_price_before_that_ends():
    rating = Rating()
    stored = rating.launch(fee("old"))
    stored = rating.take(replanned_offering(stored, fee("old", None, 10), day(1)), stored, day(1))
    with pytest.raises(BadRequest, match=f"later none is valid from {day(2).isoformat()[:10]}"):
        rating.patch(stored, fee("later", 15), day(2))


def test_a_price_does_not_end_before_the_offering_can_say_so():
    rating = Rating()
    stored = rating.launch(fee("old"))
    begins = {"validFor": {"startDateTime": day(30).isoformat()}}
    stored = rating.patch(stored, {**fee("old"), **fee("new", 30)}, day(1), **begins)
    with pytest.raises(BadRequest, match=f"old ends on .*{day(10).isoformat()[:10]}.* from {day(30).isoformat()[:10]}"):
        replanned_offering(stored, {**fee("old", None, 10), **fee("new", 30)}, day(2))
    ended = {**fee("old", None, 30), **fee("new", 30)}
    rating.take(replanned_offering(stored, ended, day(2)), stored, day(2))

    assert [rating.price_ids(day(number)) for number in (0, 29, 30)] == [["old"], ["old"], ["new"]]


def test_a_price_that_has_ended_may_stay_in_its_offering():
    rating = Rating()
    stored = rating.launch({**fee("always"), **fee("spring", 0, 5)})
    stored = rating.patch(stored, {**fee("always"), **fee("spring", 0, 5)}, day(9), description="still there")

    assert len(stored["publications"]) == 2


def test_a_price_that_has_ended_may_become_obsolete():
    rating = Rating()
    prices = {**fee("always"), **fee("spring", 0, 5)}
    stored = rating.launch(prices)
    prices["spring"]["resource"]["lifecycleStatus"] = "Obsolete"

    with pytest.raises(BadRequest, match="spring is Obsolete"):
        rating.patch(stored, prices, day(4), description="changed")
    assert rating.patch(stored, prices, day(5), description="changed")["publications"] == stored["publications"]


VALIDITIES = st.tuples(st.none() | st.integers(0, 8), st.none() | st.integers(9, 14))
LISTS = st.lists(VALIDITIES, min_size=1, max_size=3)
STARTS = st.none() | st.integers(-2, 6)
HALF_DAYS = [day(number) + timedelta(hours=12) for number in range(-3, 18)]


@given(LISTS, STARTS, st.lists(st.tuples(st.integers(1, 5), LISTS, STARTS), max_size=4))
def test_whatever_is_planned_holds_from_then_on_and_the_past_stays(first, start, patches):
    rating = Rating()
    stored, begun_at, now, number = None, None, NOW, 0
    for days, validities, wanted_start in [(0, first, start), *patches]:
        now += timedelta(days=days)
        before = [rating.price_ids(instant) for instant in HALF_DAYS]
        prices = {}
        for validity in validities:
            number += 1
            prices |= fee(f"p{number}", *validity)
        attributes = {} if wanted_start is None else {"validFor": {"startDateTime": day(wanted_start).isoformat()}}
        try:
            stored = rating.launch(prices, now, **attributes) if stored is None else rating.patch(stored, prices, now, **attributes)
        except (BadRequest, Conflict):
            continue
        said = stored["resource"].get("validFor", {}).get("startDateTime", now)
        if begun_at is None or begun_at > now:
            begun_at = begin = said
        else:
            begin = max(said, now)
        for instant, paid in zip(HALF_DAYS, before, strict=True):
            held = [id for id, one in prices.items() if _holds(one["resource"].get("validFor", {}), instant)]
            assert rating.price_ids(instant) == (held if instant >= begin else paid if begin != begun_at else None), instant


def _holds(validity, instant):
    return validity.get("startDateTime", instant) <= instant < validity.get("endDateTime", instant + timedelta(days=1))


@pytest.mark.parametrize(
    ("before", "after", "is_allowed"),
    [
        ((None, None), (None, 5), True),
        ((-9, None), (-9, 5), True),
        ((-9, 7), (-9, None), True),
        ((3, None), (5, 9), True),
        ((None, None), (None, 0), False),
        ((None, None), (None, -1), False),
        ((-9, -1), (-9, 5), False),
        ((-9, 5), (-8, 5), False),
        ((None, None), (5, None), False),
        ((5, None), (None, None), False),
        ((5, None), (0, None), False),
    ],
)
def test_a_price_that_customers_pay_may_only_change_when_it_will_hold(before, after, is_allowed):
    (before,), (after,) = fee("f", *before).values(), fee("f", *after).values()

    check_price_change(after, before, [], NOW)
    if is_allowed:
        check_price_change(after, before, ["o1"], NOW)
    else:
        with pytest.raises(Conflict, match="nor can it begin or end before 2026-11-25T09:00:00"):
            check_price_change(after, before, ["o1"], NOW)


def test_a_price_that_ends_gives_way_to_the_one_that_was_put_beside_it():
    rating = Rating()
    stored = rating.launch(fee("old"))
    stored = rating.patch(stored, {**fee("old"), **fee("new", 10)}, day(1))
    planned = replanned_offering(stored, {**fee("old", None, 10), **fee("new", 10)}, day(2))
    planned = rating.take(planned, stored, day(2))

    assert [rating.price_ids(day(number)) for number in (0, 9, 10)] == [["old"], ["old"], ["new"]]
    assert replanned_offering(planned, {**fee("old", None, 10), **fee("new", 10)}, day(3)) == planned


BOUNDS = st.tuples(st.none() | st.integers(0, 8), st.none() | st.integers(9, 14))
STEPS = st.tuples(st.integers(0, 3), st.sets(st.integers(0, 2), min_size=1), st.none() | st.tuples(st.integers(0, 2), BOUNDS))


@given(st.tuples(BOUNDS, BOUNDS, BOUNDS), st.lists(STEPS, min_size=1, max_size=6))
def test_prices_hold_as_they_say_however_they_and_their_offering_change(bounds, steps):
    """Each step gives one of three prices other times, which must be allowed, or else puts some of them in the offering."""
    rating, prices, stored, now = Rating(), [fee(f"p{number}", *each)[f"p{number}"] for number, each in enumerate(bounds)], None, NOW
    for days, chosen, change in steps:
        now += timedelta(days=days, seconds=1)
        before = [rating.price_ids(instant) for instant in HALF_DAYS]
        listed = [one["id"] for one in stored["resource"]["productOfferingPrice"]] if stored else []
        try:
            if change is None or stored is None:
                offered = {f"p{number}": prices[number] for number in chosen}
                stored = rating.launch(offered, now) if stored is None else rating.patch(stored, offered, now)
            else:
                number, (start, end) = change
                (changed,) = fee(f"p{number}", start, end).values()
                check_price_change(changed, prices[number], [ID] if f"p{number}" in listed else [], now)
                held = {f"p{number}": price for number, price in enumerate([*prices[:number], changed, *prices[number + 1 :]])}
                stored = rating.take(replanned_offering(stored, held, now), stored, now)
                prices[number] = changed
        except (BadRequest, Conflict):
            assert [rating.price_ids(instant) for instant in HALF_DAYS] == before
            continue
        said = {one["id"]: prices[int(one["id"][1:])]["resource"].get("validFor", {}) for one in stored["resource"]["productOfferingPrice"]}
        for instant, paid in zip(HALF_DAYS, before, strict=True):
            held = {id for id, validity in said.items() if _holds(validity, instant)}
            assert set(rating.price_ids(instant) or ()) == (held if instant > now else set(paid or ())), instant

"""Fees over several cuts: what each bill has, whatever was heard when, and that no day is paid twice or never."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import FormerOffering, Suspension
from libs.periods import calendar_month, time_zone
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.fees import WrongFeeCurrency, fee_ids, recurring_fees
from services.rating.domain.holdings import Account, Product
from services.rating.domain.one_time_fees import one_time_fees

ZONE = "Europe/Madrid"
ACCOUNT = Account("ada", "EUR", ZONE)
BOOK = """
id: {id}
effective_from: {effective_from}
time_zone: Europe/Madrid
currency: {currency}
offerings:
  small:
    recurring_prices:
      - {{id: line, description: Line, amount: {amount}, {small}}}
  large:
    recurring_prices:
      - {{id: line, description: Large line, amount: 62.00, {large}}}
    one_time_prices:
      - {{id: set-up, description: Set-up, amount: 15, charged_at: activation}}
      - {{id: leaving, description: Early leaving, amount: 99, charged_at: termination}}
"""
ADVANCE = "period: month, charged: advance, while_suspended: free"


def book(small=ADVANCE, large=ADVANCE, **fields):
    defaults = {"id": "fees", "effective_from": "2020-01-01", "currency": "EUR", "amount": "31.00"}
    return parse_rate_book(BOOK.format(**{**defaults, **fields}, small=small, large=large), "fees.yaml")


def local(text):
    return datetime.fromisoformat(text).replace(tzinfo=time_zone(ZONE)).astimezone(UTC)


def product(started="2026-03-10 12:00", ended=None, offering="small", suspensions=(), formers=(), changed=None, **fields):
    return Product(
        **{"id": "p1", "account_id": "ada", "offering_id": offering, "name": "Line", "status": "active", **fields},
        started_at=local(started),
        ended_at=local(ended) if ended else None,
        suspensions=tuple(Suspension(start=local(start), end=local(end) if end else None) for start, end in suspensions),
        former_offerings=tuple(FormerOffering(offering_id=former, until=local(until)) for former, until in formers),
        changed_at=local(changed) if changed else None,
    )


class Cuts:
    """Cuts of one account, one after the other."""

    def __init__(self, *books):
        self.books = RateBooks(books or [book()])
        self.charged: dict[str, Fraction] = {}
        self.cuts: dict[str, int] = {}

    def cut(self, month, *products):
        """What the cut adds: amounts by description."""
        period = calendar_month(month, ZONE)
        account = replace(ACCOUNT, cuts=dict(self.cuts))
        known = fee_ids(account, products, period, self.books)
        charged = {id: self.charged[id] for id in known if id in self.charged}
        made = recurring_fees(account, products, period, self.books, period.end, charged)
        self.cuts[f"{month}-01"] = self.cuts.get(f"{month}-01", 0) + 1
        made += [fee for fee in one_time_fees(ACCOUNT, products, period, self.books, period.end) if fee.id not in self.charged]
        assert not {charge.id for charge in made} & self.charged.keys(), "charged twice"
        assert len({charge.id for charge in made}) == len(made)
        self.charged |= {charge.id: exact(charge) for charge in made}
        return [(charge.description, exact(charge)) for charge in made]

    def paid(self):
        """What all fees of periods have come to."""
        return sum(amount for id, amount in self.charged.items() if "|recurring" in id)


def exact(charge):
    ((denominator, numerator),) = charge.sums.items()
    return Fraction(int(numerator), int(denominator))


def test_the_first_bill_in_advance_has_the_stub_and_the_next_period_and_later_ones_the_following():
    cuts = Cuts()
    assert cuts.cut("2026-03", product()) == [("Line (22 of 31 days)", 22), ("Line", 31)]
    assert cuts.cut("2026-04", product()) == [("Line", 31)]
    assert cuts.cut("2026-04", product()) == []
    assert cuts.cut("2026-05", product()) == [("Line", 31)]
    assert list(cuts.charged) == [f"ada|p1|line|2026-0{month}-01|recurring" for month in (3, 4, 5, 6)]


def test_a_product_that_has_not_begun_owes_nothing_in_advance():
    cuts = Cuts()
    assert cuts.cut("2026-03", product("2026-04-02 00:00")) == []
    assert cuts.cut("2026-04", product("2026-04-02 00:00")) == [("Line (29 of 30 days)", 31 * Fraction(29, 30)), ("Line", 31)]


def test_an_end_within_a_paid_period_is_credited_once():
    cuts = Cuts()
    cuts.cut("2026-03", product())
    ended = product(ended="2026-04-10 15:00")
    assert cuts.cut("2026-04", ended) == [("Line: credit (10 of 30 days due)", 31 * Fraction(-20, 30))]
    assert cuts.cut("2026-04", ended) == cuts.cut("2026-05", ended) == []


def test_an_end_that_is_heard_after_two_more_cuts_is_credited_for_all_of_them():
    cuts = Cuts()
    for month in ("2026-03", "2026-04", "2026-05"):
        cuts.cut(month, product())
    ended = product(ended="2026-04-10 15:00")
    assert cuts.cut("2026-06", ended) == [
        ("Line: credit (10 of 30 days due)", 31 * Fraction(-20, 30)),
        ("Line: credit", -31),
        ("Line: credit", -31),
    ]
    assert cuts.cut("2026-07", ended) == []


def test_a_month_that_is_cut_again_after_later_ones_corrects_nothing_twice():
    cuts = Cuts()
    cuts.cut("2026-03", product())
    ended = product(ended="2026-04-10 15:00")
    assert len(cuts.cut("2026-04", ended)) == 1
    assert cuts.cut("2026-03", ended) == []


def test_an_end_that_is_put_off_is_charged_again():
    cuts = Cuts()
    cuts.cut("2026-03", product(ended="2026-04-10 15:00"))
    assert cuts.cut("2026-04", product()) == [("Line: correction (whole period due)", 31 * Fraction(20, 30)), ("Line", 31)]


def test_the_credit_is_for_the_days_that_were_not_served():
    cuts = Cuts()
    cuts.cut("2026-03", product())
    period = calendar_month("2026-04", ZONE)
    ended = product(ended="2026-04-10 15:00")
    (credit,) = recurring_fees(ACCOUNT, [ended], period, cuts.books, period.end, cuts.charged)
    assert (credit.period.start, credit.period.end) == (local("2026-04-11"), period.end)
    assert credit.id == "ada|p1|line|2026-04-01|recurring|2026-04-01"


def test_a_suspension_is_credited_and_what_follows_is_not_charged_before_it_ends():
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-01"))
    suspended = product("2026-03-01", suspensions=[("2026-04-21 10:00", None)], status="suspended")
    assert cuts.cut("2026-04", suspended) == [("Line: credit (30 of 30 days, 10 suspended, due)", 31 * Fraction(-10, 30))]
    assert cuts.cut("2026-05", suspended) == []
    resumed = product("2026-03-01", suspensions=[("2026-04-21 10:00", "2026-06-11 09:00")])
    assert cuts.cut("2026-06", resumed) == [("Line (30 of 30 days, 10 suspended)", 31 * Fraction(20, 30)), ("Line", 31)]


def test_a_change_of_offering_ends_one_fee_and_begins_the_other_on_its_day():
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-01"))
    moved = product("2026-03-01", offering="large", formers=[("small", "2026-04-16 13:00")])
    assert cuts.cut("2026-04", moved) == [
        ("Line: credit (15 of 30 days due)", 31 * Fraction(-15, 30)),
        ("Large line (15 of 30 days)", 31),
        ("Large line", 62),
    ]
    assert cuts.cut("2026-05", moved) == [("Large line", 62)]


def test_a_change_that_is_heard_after_the_cut_of_its_month_replaces_what_was_paid():
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-01"))
    cuts.cut("2026-04", product("2026-03-01"))
    moved = product("2026-03-01", offering="large", formers=[("small", "2026-04-16 13:00")])
    assert cuts.cut("2026-05", moved) == [
        ("Line: credit (15 of 30 days due)", 31 * Fraction(-15, 30)),
        ("Line: credit", -31),
        ("Large line (15 of 30 days)", 31),
        ("Large line", 62),
        ("Large line", 62),
    ]
    assert cuts.cut("2026-06", moved) == [("Large line", 62)]


def test_a_former_offering_of_months_that_were_never_cut_costs_nothing():
    moved = product("2026-01-01", offering="large", formers=[("small", "2026-02-16 13:00")])
    assert [description for description, _ in Cuts().cut("2026-04", moved)] == ["Large line", "Large line"]


@pytest.mark.parametrize("change", ["none", "by_day"])
def test_in_arrears_a_change_is_on_the_bill_of_its_month(change):
    arrears = f"period: month, proration: {{change: {change}}}"
    cuts = Cuts(book(arrears, arrears))
    moved = product("2026-03-01", offering="large", formers=[("small", "2026-04-16 13:00")])
    assert cuts.cut("2026-03", product("2026-03-01")) == [("Line", 31)]
    by_day = [("Line (15 of 30 days)", Fraction(31, 2)), ("Large line (15 of 30 days)", 31)]
    assert cuts.cut("2026-04", moved) == ([("Line", 31)] if change == "none" else by_day)
    assert cuts.cut("2026-05", moved) == [("Large line", 62)]


def test_a_quarter_in_arrears_is_due_with_its_last_month_or_when_the_product_ends():
    cuts = Cuts(book("period: quarter"))
    assert cuts.cut("2026-01", product("2026-01-01")) == cuts.cut("2026-02", product("2026-01-01")) == []
    assert cuts.cut("2026-03", product("2026-01-01")) == [("Line", 31)]
    ended = product("2026-01-01", ended="2026-04-10 20:00")
    assert cuts.cut("2026-04", ended) == [("Line (10 of 91 days)", 31 * Fraction(10, 91))]
    assert cuts.cut("2026-05", ended) == cuts.cut("2026-06", ended) == []


def test_the_end_of_a_quarter_in_arrears_that_is_heard_late_is_charged_still():
    cuts = Cuts(book("period: quarter"))
    cuts.cut("2026-04", product("2026-04-01"))
    assert cuts.cut("2026-05", product("2026-04-01", ended="2026-04-10 20:00")) == [("Line (10 of 91 days)", 31 * Fraction(10, 91))]


def test_a_year_in_advance_is_charged_with_the_last_bill_before_it_begins():
    cuts = Cuts(book("period: year, anchor: activation, charged: advance"))
    assert cuts.cut("2024-02", product("2024-02-29 10:00")) == [("Line", 31)]
    assert all(cuts.cut(f"2024-{month:02}", product("2024-02-29 10:00")) == [] for month in range(3, 13))
    assert cuts.cut("2025-01", product("2024-02-29 10:00")) == [("Line", 31)]
    period = calendar_month("2026-01", ZONE)
    (fee,) = recurring_fees(ACCOUNT, [product("2024-02-29 10:00")], period, cuts.books, period.end, cuts.charged)
    assert (fee.period.start, fee.period.end) == (local("2026-02-28"), local("2027-02-28"))


def test_weeks_are_charged_one_by_one_in_the_month_in_which_they_end():
    cuts = Cuts(book("period: week"))
    assert len(cuts.cut("2026-03", product("2026-03-02"))) == 4
    assert len(cuts.cut("2026-04", product("2026-03-02"))) == 4
    assert len(cuts.cut("2026-05", product("2026-03-02"))) == 5


def test_a_day_that_the_calendar_left_out_costs_nothing():
    """Samoa went from 29 to 31 December."""
    samoa = replace(ACCOUNT, time_zone="Pacific/Apia")
    december = calendar_month("2011-12", "Pacific/Apia")
    books = RateBooks([book("period: day", effective_from="2001-01-01")])
    daily = recurring_fees(samoa, [product("2011-01-01")], december, books, december.end)
    assert len(daily) == 30
    assert sum((charge.period.end - charge.period.start for charge in daily), timedelta()) == december.end - december.start


def test_a_newer_amount_holds_for_periods_that_begin_after_it():
    cuts = Cuts(book(), book(id="dearer", effective_from="2026-05-01", amount="40"))
    cuts.cut("2026-03", product("2026-03-01"))
    assert cuts.cut("2026-04", product("2026-03-01")) == [("Line", 40)]


def test_an_amount_that_is_published_after_it_was_charged_is_corrected():
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-01"))
    cuts.books = RateBooks([book(), book(id="dearer", effective_from="2026-04-01", amount="40")])
    assert cuts.cut("2026-04", product("2026-03-01")) == [("Line: correction (whole period due)", 9), ("Line", 40)]


def test_a_fee_that_becomes_one_in_advance_leaves_no_month_out():
    cuts = Cuts(book("period: month"), book(id="later", effective_from="2026-04-01"))
    assert cuts.cut("2026-02", product("2026-01-01")) == [("Line", 31)]
    assert cuts.cut("2026-03", product("2026-01-01")) == [("Line", 31), ("Line", 31)]
    assert cuts.cut("2026-04", product("2026-01-01")) == [("Line", 31)]


def test_activation_and_termination_cost_once():
    cuts = Cuts(book("period: month", "period: month"))
    assert ("Set-up", 15) in cuts.cut("2026-03", product(offering="large"))
    assert cuts.cut("2026-03", product(offering="large")) == []
    moved = product("2026-04-01", ended="2026-04-10 09:00", offering="large")
    assert ("Early leaving", 99) in cuts.cut("2026-04", moved)
    assert cuts.cut("2026-04", moved) == cuts.cut("2026-05", moved) == []


def test_a_termination_that_is_heard_after_the_cut_of_its_month_costs_its_fee_still():
    cuts = Cuts(book("period: month", "period: month"))
    cuts.cut("2026-03", product(offering="large"))
    assert cuts.cut("2026-04", product(offering="large", ended="2026-03-31 20:00", changed="2026-04-01 02:00")) == [("Early leaving", 99)]


def test_a_termination_that_no_cut_has_met_the_product_before_is_no_news():
    ended = product(offering="large", ended="2026-03-20 20:00", changed="2026-04-02 00:00")
    period = calendar_month("2026-04", ZONE)
    assert one_time_fees(ACCOUNT, [ended], period, RateBooks([book()]), period.end, [ended]) == []


def test_a_fee_in_another_currency_is_refused_where_it_is_owed():
    cuts = Cuts(book(currency="USD"))
    with pytest.raises(WrongFeeCurrency, match="price line of product p1 is in USD, account ada in EUR: give the product an offering"):
        cuts.cut("2026-03", product())
    assert cuts.cut("2026-02", product()) == cuts.cut("2026-05", product(ended="2026-03-20 00:00")) == []


def test_an_offering_is_charged_by_the_book_of_the_account_s_currency():
    assert Cuts(book(id="dollars", currency="USD", amount="40"), book()).cut("2026-04", product("2026-01-01"))[0] == ("Line", 31)


def test_a_product_that_never_became_active_owes_nothing():
    assert Cuts().cut("2026-04", product(status="cancelled", offering="large")) == []


def test_a_suspension_whose_end_is_heard_late_is_charged_for_what_it_held_back():
    cuts = Cuts()
    suspended = product("2026-03-01", suspensions=[("2026-03-20 10:00", None)], status="suspended")
    assert cuts.cut("2026-03", suspended) == [("Line (31 of 31 days, 12 suspended)", 19)]
    assert cuts.cut("2026-04", suspended) == cuts.cut("2026-05", suspended) == []
    resumed = product("2026-03-01", suspensions=[("2026-03-20 10:00", "2026-04-11 09:00")])
    assert cuts.cut("2026-06", resumed) == [
        ("Line (30 of 30 days, 10 suspended)", 31 * Fraction(20, 30)),
        ("Line", 31),
        ("Line", 31),
        ("Line", 31),
    ]
    assert cuts.cut("2026-07", resumed) == [("Line", 31)]


hours = st.integers(0, 24 * 150).map(lambda hour: local("2026-01-01") + timedelta(hours=hour))
prorations = st.sampled_from(["none", "by_day", "fixed_30", "by_second", "{start: by_day, end: by_second, change: fixed_30}"])
periods = st.sampled_from(["month", "quarter", "year", "2 months, anchor: 31", "month, anchor: activation", "month, anchor: 15"])


# Two years of cuts, twice.
@settings(deadline=None)
@given(prorations, periods, st.lists(hours, min_size=2, max_size=2, unique=True).map(sorted), st.integers(0, 6))
def test_what_is_left_of_a_fee_in_advance_is_the_fee_in_arrears(proration, period, life, heard_after):
    """However late the end is heard, once all cuts are made both have cost the same."""
    started, ended = life
    alive = replace(product(), started_at=started)
    totals = []
    for charged in ("advance", "arrears"):
        cuts = Cuts(book(f"period: {period}, proration: {proration}, charged: {charged}"))
        ends_in = ended.astimezone(time_zone(ZONE)).month
        heard = ends_in + heard_after if charged == "advance" else 0
        for number in range(started.astimezone(time_zone(ZONE)).month, 24):
            known = replace(alive, ended_at=ended) if number >= heard else alive
            cuts.cut(f"{2026 + (number - 1) // 12}-{(number - 1) % 12 + 1:02}", known)
        totals.append(cuts.paid())
    assert totals[0] == totals[1]


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["by_day", "fixed_30", "by_second"]),
    periods,
    st.lists(hours, min_size=5, max_size=5, unique=True).map(sorted),
    st.permutations(["suspended", "resumed", "moved"]),
    st.lists(st.integers(0, 5), min_size=3, max_size=3),
    st.integers(0, 5),
)
def test_it_comes_to_the_same_however_late_it_is_heard(proration, period, moments, order, late, ended_late):
    """Suspended, resumed and moved to a dearer offering in any order that there is, and ended at last."""
    order = [*order] if order.index("suspended") < order.index("resumed") else [*reversed(order)]
    started, *happened, ended = moments
    news = {name: (at, month_of(at) + wait) for name, at, wait in zip(order, happened, late, strict=True)}
    # One is told after the other: a product is not told to have been resumed before it was told to have been suspended.
    news["resumed"] = (news["resumed"][0], max(news["resumed"][1], news["suspended"][1]))
    totals = []
    for is_late in (True, False):
        terms = f"period: {period}, proration: {proration}, charged: advance, while_suspended: free"
        cuts = Cuts(book(terms, terms))
        for month in range(month_of(started), 14):
            heard = {name: at for name, (at, heard_in) in news.items() if month >= heard_in or not is_late}
            known = replace(
                product(offering="large" if "moved" in heard else "small"),
                started_at=started,
                ended_at=ended if month >= month_of(ended) + ended_late or not is_late else None,
                suspensions=(Suspension(start=heard["suspended"], end=heard.get("resumed")),) if "suspended" in heard else (),
                former_offerings=(FormerOffering(offering_id="small", until=heard["moved"]),) if "moved" in heard else (),
            )
            cuts.cut(f"{2026 + (month - 1) // 12}-{(month - 1) % 12 + 1:02}", known)
        totals.append(cuts.paid())
    assert totals[0] == totals[1]


def month_of(at):
    return at.astimezone(time_zone(ZONE)).month

"""Fees over several cuts: what each bill has, whatever was heard when, and that no day is paid twice or never."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import ChargeKind, CutRefused, FormerOffering, Suspension
from libs.periods import calendar_month, time_zone
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.cuts.account_to_cut import ending_with
from services.rating.domain.cuts.adjusted_month import month_of as adjusted_month_of
from services.rating.domain.fees import FeeHistory, WrongFeeCurrency, fees_to_charge
from services.rating.domain.fees.one_time_fees import one_time_fees
from services.rating.domain.holdings import Account, Product
from tests.cycles import Cycles

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


class Cuts(Cycles):
    """Cuts of one account, month by month."""

    def __init__(self, *books):
        super().__init__(RateBooks(books or [book()]), ACCOUNT)

    def cut(self, month, *products):
        """What the cut adds: amounts by description."""
        closing = self.decide(calendar_month(month, ZONE), products)
        if isinstance(closing, CutRefused):
            raise WrongFeeCurrency(closing.reason)
        return [(charge.description, exact(charge)) for charge in closing.made]

    def paid(self):
        """What all fees of periods have come to."""
        return sum(exact(charge) for charge in self.charges.values() if charge.kind is ChargeKind.RECURRING)


def exact(charge):
    ((denominator, numerator),) = charge.sums.items()
    return Fraction(int(numerator), int(denominator))


def test_the_first_bill_in_advance_has_the_stub_and_the_next_period_and_later_ones_the_following():
    cuts = Cuts()
    assert cuts.cut("2026-03", product()) == [("Line (22 of 31 days)", 22), ("Line", 31)]
    assert cuts.cut("2026-04", product()) == [("Line", 31)]
    assert cuts.cut("2026-04", product()) == []
    assert cuts.cut("2026-05", product()) == [("Line", 31)]
    assert list(cuts.charges) == [f"ada|p1|line|2026-0{month}-01|recurring" for month in (3, 4, 5, 6)]


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
    cuts.cut("2026-04", product(ended="2026-04-10 15:00"))
    credit = cuts.charges["ada|p1|line|2026-04-01|recurring|2026-04-01"]
    assert (credit.period.start, credit.period.end) == (local("2026-04-11"), calendar_month("2026-04", ZONE).end)
    assert credit.corrected_from == local("2026-04-01")


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
        ("Large line (15 of 30 days)", 31),
        ("Line: credit (15 of 30 days due)", 31 * Fraction(-15, 30)),
        ("Large line", 62),
    ]
    assert cuts.cut("2026-05", moved) == [("Large line", 62)]


def test_a_change_that_is_heard_after_the_cut_of_its_month_replaces_what_was_paid():
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-01"))
    cuts.cut("2026-04", product("2026-03-01"))
    moved = product("2026-03-01", offering="large", formers=[("small", "2026-04-16 13:00")])
    assert cuts.cut("2026-05", moved) == [
        ("Large line (15 of 30 days)", 31),
        ("Line: credit (15 of 30 days due)", 31 * Fraction(-15, 30)),
        ("Large line", 62),
        ("Line: credit", -31),
        ("Large line", 62),
    ]
    assert cuts.cut("2026-06", moved) == [("Large line", 62)]


def test_a_former_offering_of_months_that_were_never_cut_is_caught_up():
    moved = product("2026-01-01", offering="large", formers=[("small", "2026-02-16 13:00")])
    assert Cuts().cut("2026-04", moved) == [
        ("Line", 31),
        ("Line (15 of 28 days)", 31 * Fraction(15, 28)),
        ("Large line (13 of 28 days)", 62 * Fraction(13, 28)),
        ("Large line", 62),
        ("Large line", 62),
        ("Large line", 62),
    ]


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
    (fee,) = fees_to_charge(ACCOUNT, [product("2024-02-29 10:00")], period, cuts.books, FeeHistory(charged_ids=cuts.charges))
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
    daily = fees_to_charge(samoa, [product("2011-01-01")], december, books, FeeHistory())
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
    assert cuts.cut("2026-02", product("2026-02-01")) == [("Line", 31)]
    assert cuts.cut("2026-03", product("2026-02-01")) == [("Line", 31), ("Line", 31)]
    assert cuts.cut("2026-04", product("2026-02-01")) == [("Line", 31)]


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
    assert list(one_time_fees(ACCOUNT, ended, period, RateBooks([book()]), is_new=True)) == []


def test_a_fee_in_another_currency_is_refused_where_it_is_owed():
    cuts = Cuts(book(currency="USD"))
    with pytest.raises(WrongFeeCurrency, match="price line of product p1 is in USD, account ada in EUR: give the product an offering"):
        cuts.cut("2026-03", product())
    with pytest.raises(WrongFeeCurrency):
        cuts.cut("2026-05", product(ended="2026-03-20 00:00"))
    assert cuts.cut("2026-02", product()) == []


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


OTHER = """
id: {id}
effective_from: {effective_from}
time_zone: Europe/Madrid
currency: EUR
offerings:
  small:
    usage_prices: [{{id: calls, description: Calls, match: {{usage_type: voice}}, price: {{amount: 1, per: 1 event}}}}]
    {fees}
"""
RENAMED = "recurring_prices: [{id: plan, description: Plan, amount: 40, period: month, charged: advance}]"
YEARLY = "recurring_prices: [{id: year, description: Year, amount: 365, period: year, charged: advance}]"
ANCHORED = "recurring_prices: [{id: line, description: Line, amount: 30, period: month, charged: advance, anchor: 15}]"


def other(fees, since="2026-04-01", id="late"):
    """A book that has other fees for the offering `small`."""
    return parse_rate_book(OTHER.format(id=id, effective_from=since, fees=fees), "other.yaml")


@pytest.mark.parametrize(
    ("fees", "expected"),
    [
        (RENAMED, [("Line: credit", -31), ("Plan", 40), ("Plan", 40)]),
        ("", [("Line: credit", -31)]),
        # It began before the book took effect, and the new one begins within April.
        (ANCHORED, [("Line: credit", -31), ("Line", 30), ("Line", 30)]),
    ],
    ids=["renamed", "dropped", "at another anchor"],
)
def test_what_a_late_book_does_not_ask_any_more_is_credited(fees, expected):
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-01"))
    cuts.books = RateBooks([book(), other(fees)])
    assert cuts.cut("2026-04", product("2026-03-01")) == expected
    later = [fee for fee in expected if fee[1] > 0][1:]
    assert cuts.cut("2026-04", product("2026-03-01")) == []
    assert cuts.cut("2026-05", product("2026-03-01")) == later


def test_a_credit_has_the_terms_of_what_was_charged():
    """Whatever the books say of taxes now."""
    cuts = Cuts(book("period: month, charged: advance, tax_category: reduced"))
    cuts.cut("2026-03", product("2026-03-10 12:00"))
    charged = cuts.charges["ada|p1|line|2026-04-01|recurring"]
    cuts.books = RateBooks([*cuts.books.books, other(RENAMED)])
    cuts.cut("2026-04", product("2026-03-10 12:00"))
    credit = cuts.charges["ada|p1|line|2026-04-01|recurring|2026-04-01"]
    same = ("price_id", "kind", "offering_id", "currency", "period", "tax_category", "is_tax_included", "line_rounding")
    assert [getattr(credit, field) for field in same] == [getattr(charged, field) for field in same]
    assert (credit.tax_category, credit.corrected_from) == ("reduced", charged.period.start)


def test_a_renamed_fee_whose_end_is_heard_still_later_is_charged_under_its_new_name():
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-01"))
    cuts.cut("2026-04", product("2026-03-01"))
    cuts.books = RateBooks([book(), other(RENAMED)])
    assert cuts.cut("2026-05", product("2026-03-01", ended="2026-04-15 12:00")) == [
        ("Line: credit", -31),
        ("Plan (15 of 30 days)", 20),
        ("Line: credit", -31),
    ]


def test_a_year_in_advance_that_is_renamed_late_is_charged_anew_for_all_its_months():
    cuts = Cuts(book("period: year, charged: advance"))
    for month in ("2025-12", "2026-01", "2026-02"):
        cuts.cut(month, product("2026-01-01"))
    cuts.books = RateBooks([*cuts.books.books, other(RENAMED, "2026-01-01")])
    assert cuts.cut("2026-03", product("2026-01-01")) == [("Line: credit", -31), *[("Plan", 40)] * 4]


def test_a_month_that_a_late_book_charges_by_the_year_is_credited_although_it_is_over():
    cuts = Cuts()
    for month in ("2025-12", "2026-01", "2026-02"):
        cuts.cut(month, product("2026-01-01"))
    cuts.books = RateBooks([book(), other(YEARLY, "2026-01-01")])
    assert cuts.cut("2026-03", product("2026-01-01")) == [("Line: credit", -31), ("Year", 365), *[("Line: credit", -31)] * 2]


def test_a_fee_that_stands_where_its_period_begins_is_kept_when_a_book_drops_it_later():
    cuts = Cuts(book("period: year, charged: advance"))
    cuts.cut("2025-12", product("2025-12-01"))
    cuts.cut("2026-01", product("2025-12-01"))
    cuts.books = RateBooks([*cuts.books.books, other(RENAMED, "2026-03-01")])
    assert cuts.cut("2026-02", product("2025-12-01")) == [("Plan", 40)]
    assert cuts.cut("2026-03", product("2025-12-01")) == [("Plan", 40)]


def test_a_quarter_in_arrears_that_a_book_drops_within_is_due_at_its_end():
    cuts = Cuts(book("period: quarter"), other(RENAMED, "2026-02-01"))
    cuts.cut("2025-12", product("2026-01-01"))
    assert [cuts.cut(month, product("2026-01-01")) for month in ("2026-01", "2026-02")] == [[("Plan", 40)], [("Plan", 40)]]
    assert cuts.cut("2026-03", product("2026-01-01")) == [("Line", 31), ("Plan", 40)]


ARREARS = "period: month"
LIVED = {
    "a later start": ({"started": "2026-03-01"}, {"started": "2026-04-16"}),
    "an earlier start": ({"started": "2026-04-16"}, {"started": "2026-03-10 12:00"}),
    "a start that moves little": ({"started": "2026-03-10"}, {"started": "2026-03-12"}),
    "cancelled": ({"started": "2026-03-10"}, {"started": "2026-03-10", "status": "cancelled"}),
    "aborted": ({"started": "2026-03-10"}, {"started": "2026-03-10", "status": "aborted"}),
    "active after all": ({"started": "2026-03-10", "status": "cancelled"}, {"started": "2026-03-10"}),
    "an earlier end": ({"started": "2026-03-10", "ended": "2026-04-20 12:00"}, {"started": "2026-03-10", "ended": "2026-03-20 12:00"}),
    "a later end": ({"started": "2026-03-10", "ended": "2026-03-20 12:00"}, {"started": "2026-03-10", "ended": "2026-04-20 12:00"}),
    "no end": ({"started": "2026-03-10", "ended": "2026-03-20 12:00"}, {"started": "2026-03-10"}),
    "another offering from the beginning": ({"started": "2026-03-10"}, {"started": "2026-03-10", "offering": "large"}),
}


@pytest.mark.parametrize("terms", [ADVANCE, ARREARS, "period: quarter", "period: month, charged: advance, anchor: activation"])
@pytest.mark.parametrize(("told", "corrected"), LIVED.values(), ids=LIVED)
def test_what_was_charged_becomes_what_is_owed(told, corrected, terms):
    corrects, from_the_beginning = Cuts(book(terms, terms)), Cuts(book(terms, terms))
    for month in ("2026-02", "2026-03", "2026-04", "2026-05"):
        corrects.cut(month, product(**(told if month < "2026-05" else corrected)))
        from_the_beginning.cut(month, product(**corrected))
    assert corrects.paid() == from_the_beginning.paid()
    assert corrects.cut("2026-05", product(**corrected)) == []


@pytest.mark.parametrize(
    ("changed", "late", "is_looked_at"),
    [
        ({}, None, False),
        ({"name": "Another name", "status": "pendingTerminate", "changed": "2026-04-02"}, None, False),
        ({}, book(id="repeats", effective_from="2026-04-01"), False),
        ({}, other(RENAMED), True),
        ({"status": "cancelled"}, None, True),
        ({"ended": "2026-04-10"}, None, True),
    ],
    ids=["nothing", "what costs nothing", "a book that repeats the fees", "a book of other fees", "cancelled", "ended"],
)
def test_what_was_charged_is_looked_at_only_where_something_changed(changed, late, is_looked_at):
    cuts = Cuts()
    looked_at = cuts.looked_at
    cuts.cut("2026-03", product())
    cuts.cut("2026-04", product())
    assert looked_at == []
    cuts.books = RateBooks([book()] if late is None else [book(), late])
    cuts.cut("2026-05", product(**changed))
    assert bool(looked_at) is is_looked_at
    cuts.cut("2026-06", product(**changed))
    assert len(looked_at) == is_looked_at


def test_a_later_start_says_what_is_due_of_the_period():
    cuts = Cuts()
    cuts.cut("2026-03", product("2026-03-10"))
    assert cuts.cut("2026-04", product("2026-04-16")) == [
        ("Line (22 of 31 days): credit", -22),
        ("Line: credit (15 of 30 days due)", Fraction(-31, 2)),
        ("Line", 31),
    ]
    credit = cuts.charges["ada|p1|line|2026-04-01|recurring|2026-04-01"]
    assert (credit.period.start, credit.period.end) == (local("2026-04-01"), local("2026-04-16"))


def test_a_later_end_is_charged_for_the_days_between():
    cuts = Cuts()
    cuts.cut("2026-03", product(ended="2026-04-10 15:00"))
    assert cuts.cut("2026-04", product(ended="2026-04-20 15:00")) == [("Line: correction (20 of 30 days due)", Fraction(31, 3))]
    correction = cuts.charges["ada|p1|line|2026-04-01|recurring|2026-04-01"]
    assert (correction.period.start, correction.period.end) == (local("2026-04-11"), local("2026-04-21"))


def test_a_fee_in_arrears_is_corrected_in_the_month_in_which_it_was_charged():
    """With the discounts of that month."""
    cuts = Cuts(book("period: quarter"))
    for month in ("2025-12", "2026-01", "2026-02", "2026-03"):
        cuts.cut(month, product("2026-01-01"))
    charged = cuts.charges["ada|p1|line|2026-01-01|recurring"]
    assert cuts.cut("2026-04", product("2026-03-01")) == [("Line: credit (31 of 90 days due)", Fraction(31 * -59, 90))]
    credit = cuts.charges["ada|p1|line|2026-01-01|recurring|2026-04-01"]
    assert month_of(credit) == month_of(charged) == calendar_month("2026-03", ZONE)


def month_of(charge):
    return adjusted_month_of(charge, ACCOUNT)


def test_a_month_that_is_cut_again_corrects_again():
    cuts = Cuts()
    cuts.cut("2026-03", product())
    for day in (10, 20, 25):
        cuts.cut("2026-04", product(ended=f"2026-04-{day} 15:00"))
    assert [id for id in cuts.charges if "2026-04-01|recurring|" in id] == [
        f"ada|p1|line|2026-04-01|recurring|2026-04-01{number}" for number in ("", ".1", ".2")
    ]
    assert cuts.paid() == 22 + 31 * Fraction(25, 30)


def test_a_month_that_is_cut_after_later_ones_leaves_corrections_to_the_next():
    cuts = Cuts()
    cuts.cut("2026-03", product())
    cuts.cut("2026-04", product())
    assert cuts.cut("2026-02", product(ended="2026-04-10 15:00")) == []
    cuts.cut("2026-05", product(ended="2026-04-10 15:00"))
    assert cuts.paid() == 22 + 31 * Fraction(10, 30)


@pytest.mark.parametrize("started", ["2025-01-02", "2025-01-20", "2025-01-28"])
@pytest.mark.parametrize("days", [-9, -5, -1, 1, 5, 9])
def test_a_start_that_moves_makes_as_many_periods_as_it_takes_back(started, days):
    """Of a year: what is charged from the day of activation on, for longer than that, also where a period begins before the year."""
    activated = book("period: month, charged: advance, anchor: activation")
    corrects, from_the_beginning = Cuts(activated), Cuts(activated)
    moved = replace(product(started), started_at=local(started) + timedelta(days=days))
    for number in range(21):
        month = f"{2024 + (number + 11) // 12}-{(number + 11) % 12 + 1:02}"
        corrects.cut(month, moved if number == 20 else product(started))
        from_the_beginning.cut(month, moved)
    assert corrects.paid() == from_the_beginning.paid()


@pytest.mark.parametrize(
    ("terms", "told", "expected"),
    [
        ("period: quarter", {"ended": "2026-01-20 12:00"}, [("Line (20 of 90 days)", 31 * Fraction(20, 90))]),
        ("period: quarter", {"ended": "2026-02-20 12:00"}, [("Line (51 of 90 days)", 31 * Fraction(51, 90))]),
        ("period: month", {"ended": "2026-02-20 12:00"}, [("Line", 31), ("Line (20 of 28 days)", 31 * Fraction(20, 28))]),
        (ADVANCE, {"ended": "2026-02-20 12:00"}, [("Line", 31), ("Line (20 of 28 days)", 31 * Fraction(20, 28))]),
    ],
)
def test_what_was_passed_over_is_charged_whether_its_month_was_cut_or_not(terms, told, expected):
    cuts = Cuts(book(terms))
    for month in ("2025-12", "2026-01"):
        assert cuts.cut(month, product("2026-05-01")) == []
    assert cuts.cut("2026-04", product("2026-01-01", **told)) == expected


def test_months_that_no_cycle_was_cut_for_are_caught_up_although_their_usage_was_billed():
    cuts = Cuts(book(ARREARS))
    cuts.account = replace(cuts.account, cuts={"2026-01-01": 1, "2026-02-01": 1})
    assert cuts.cut("2026-03", product("2026-01-10")) == [("Line (22 of 31 days)", 22), ("Line", 31), ("Line", 31)]
    assert cuts.cut("2026-04", product("2026-01-05")) == [("Line: correction (27 of 31 days due)", 5), ("Line", 31)]


def test_a_part_that_was_charged_more_than_a_year_ago_is_not_charged_again():
    cuts = Cuts(book("period: year"))
    for month in ("2025-01", "2025-07"):
        cuts.cut(month, product("2025-01-01", ended="2025-01-20 12:00"))
    cuts.cut("2026-02", product("2025-01-01", ended="2025-06-30 12:00"))
    assert list(cuts.charges) == ["ada|p1|line|2025-01-01|recurring"]


@pytest.mark.parametrize(("terms", "credit"), [(ARREARS, [-21]), (ADVANCE, [-21, -31])])
def test_a_closing_that_is_heard_after_the_cut_of_its_month_is_credited(terms, credit):
    cuts = Cuts(book(terms))
    for month in ("2026-02", "2026-03"):
        cuts.cut(month, product("2026-01-31"))
    closed = ending_with(local("2026-03-10 12:00"), [product("2026-01-31")])
    assert [amount for _, amount in cuts.cut("2026-04", *closed)] == credit


def test_what_lies_longer_back_than_a_year_stays():
    cuts = Cuts(book(ARREARS))
    for number in range(1, 19):
        cuts.cut(f"{2025 + (number - 1) // 12}-{(number - 1) % 12 + 1:02}", product("2025-01-01"))
    cuts.cut("2026-07", product("2025-01-01", status="cancelled"))
    # June of 2025 has its last day within it.
    assert cuts.paid() == 5 * 31


def test_a_credit_of_days_more_than_a_year_ago_is_not_given_again_with_the_rest_of_its_fee():
    cuts = Cuts(book("period: year, charged: advance, while_suspended: free", amount="365.00"))
    cuts.cut("2025-01", product("2025-01-01"))
    assert cuts.cut("2025-02", product("2025-02-01")) == [("Line: credit (334 of 365 days due)", -31)]
    suspended = product("2025-02-01", suspensions=[("2025-12-20 00:00", "2025-12-25 00:00")])
    assert cuts.cut("2026-03", suspended)[0] == ("Line: credit (334 of 365 days, 5 suspended, due)", -5)


def test_a_product_of_which_no_cut_tells_how_it_was_charged_is_looked_at_for_a_year():
    cuts = Cuts(book(ARREARS))
    cuts.cut("2026-03", product("2026-03-01"))
    cuts.known = {}
    cuts.cut("2026-04", product("2026-03-21"))
    assert cuts.paid() == 11 + 31


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, [("Line", 41)]),
        # That may have been heard since.
        (
            {"ended": "2026-03-01 12:00"},
            [("Line: correction (whole period due)", 10), ("Line: credit (1 of 31 days due)", Fraction(41, 31) - 31)],
        ),
    ],
)
def test_a_cut_after_those_that_left_no_mark_takes_what_they_charged_for_right_unless_something_happened(told, expected):
    """Accounts that were billed before products had a mark: what a late book changed of months that are over stays."""
    charged, late = book(ARREARS), book(ARREARS, id="late", effective_from="2026-01-01", amount="41.00")
    cuts = Cuts(charged)
    for month in ("2026-02", "2026-03"):
        cuts.cut(month, product("2026-02-01"))
    cuts.known, cuts.account, cuts.books = {}, replace(cuts.account, billed_until=None), RateBooks([charged, late])
    assert cuts.cut("2026-04", product("2026-02-01", **told)) == expected


@pytest.mark.parametrize("length", [60, 110, 120])
def test_ids_of_any_length_lead_from_a_correction_to_its_fee(length):
    cuts = Cuts()
    name = "|" * (length // 10) + "p" * length
    cuts.cut("2026-03", product("2026-03-01", id=name))
    for day in (10, 20):
        cuts.cut("2026-04", product("2026-03-01", ended=f"2026-04-{day} 15:00", id=name))
    cuts.cut("2026-05", product("2026-03-01", status="cancelled", id=name))
    assert cuts.paid() == 0
    assert all(len(id) <= 256 for id in cuts.charges)


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
    news = {name: (at, number_of_month(at) + wait) for name, at, wait in zip(order, happened, late, strict=True)}
    # One is told after the other: a product is not told to have been resumed before it was told to have been suspended.
    news["resumed"] = (news["resumed"][0], max(news["resumed"][1], news["suspended"][1]))
    totals = []
    for is_late in (True, False):
        terms = f"period: {period}, proration: {proration}, charged: advance, while_suspended: free"
        cuts = Cuts(book(terms, terms))
        for month in range(number_of_month(started), 14):
            heard = {name: at for name, (at, heard_in) in news.items() if month >= heard_in or not is_late}
            known = replace(
                product(offering="large" if "moved" in heard else "small"),
                started_at=started,
                ended_at=ended if month >= number_of_month(ended) + ended_late or not is_late else None,
                suspensions=(Suspension(start=heard["suspended"], end=heard.get("resumed")),) if "suspended" in heard else (),
                former_offerings=(FormerOffering(offering_id="small", until=heard["moved"]),) if "moved" in heard else (),
            )
            cuts.cut(f"{2026 + (month - 1) // 12}-{(month - 1) % 12 + 1:02}", known)
        totals.append(cuts.paid())
    assert totals[0] == totals[1]


moments = st.lists(hours, min_size=5, max_size=5, unique=True).map(sorted)


@st.composite
def lives(draw):
    """A product, as somebody may tell it."""
    started, suspended, resumed, moved, ended = draw(moments)
    was_moved = draw(st.booleans())
    return replace(
        product(
            status=draw(st.sampled_from(["active", "active", "active", "cancelled"])), offering=draw(st.sampled_from(["small", "large"]))
        ),
        started_at=started,
        ended_at=draw(st.sampled_from([None, ended])),
        suspensions=draw(st.sampled_from([(), (Suspension(start=suspended, end=None),), (Suspension(start=suspended, end=resumed),)])),
        former_offerings=(FormerOffering(offering_id="small", until=moved),) if was_moved else (),
    )


late_books = st.tuples(
    st.sampled_from(["", RENAMED, YEARLY, ANCHORED, RENAMED.replace("advance", "arrears")]), st.dates(date(2026, 1, 2), date(2026, 6, 30))
)


@settings(deadline=None, max_examples=15)
@given(
    prorations, periods, st.sampled_from(["advance", "arrears"]), st.lists(lives(), min_size=7, max_size=7), late_books, st.integers(0, 6)
)
def test_all_cuts_together_charge_what_the_last_known_books_and_product_ask(proration, period, charged, told, late, taken_in):
    """Whatever is told from one cut to the next, of its start and end as well, and whether a book is taken before it takes effect or after.

    For one more year at last, for a fee in arrears is charged early when its product seems to end.
    """
    terms = f"period: {period}, proration: {proration}, charged: {charged}, while_suspended: free"
    first, second = book(terms, terms), other(late[0], late[1].isoformat())
    corrects, from_the_beginning = Cuts(first), Cuts(first, second)
    for number, known in enumerate(told + [told[-1]] * 12):
        month = f"{2026 + number // 12}-{number % 12 + 1:02}"
        if number >= min(taken_in, late[1].month - 1):
            corrects.books = from_the_beginning.books
        corrects.cut(month, known)
        from_the_beginning.cut(month, told[-1])
    assert corrects.paid() == from_the_beginning.paid()


def number_of_month(at):
    return at.astimezone(time_zone(ZONE)).month

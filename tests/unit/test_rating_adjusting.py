"""What cuts make of the charges they close, by the terms of a rate book: over one month, however many bills it has."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product as product_of
from typing import Any

import bson
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import Charge, ChargeKind, ChargesClosed, ChargeState, FormerOffering, PeriodCut, RunType
from libs.periods import Period, calendar_month
from libs.pricing import RateBooks, parse_rate_book
from libs.pricing.charge_amount import line_amount
from libs.runtime import from_document, to_document
from libs.runtime.mongo import CODEC_OPTIONS
from services.rating.domain.cuts import AccountToCut, decide_cut
from services.rating.domain.cuts.adjustments import adjustments, discounts_due, first_adjusted, may_be_adjusted
from services.rating.domain.holdings import Account, Product
from tests.closings import usage_charge

MADRID = "Europe/Madrid"
FEBRUARY, MARCH = calendar_month("2026-02", MADRID), calendar_month("2026-03", MADRID)
APRIL = calendar_month("2026-04", MADRID)
NOW = datetime(2026, 4, 1, 3, tzinfo=UTC)
ADA = Account("ada", "EUR", MADRID)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
BOOK = """
id: book
effective_from: 2020-01-01
currency: EUR
offerings:
  basic:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.01, per: 1 s}}
    recurring_prices:
      - {id: fee, description: Monthly fee, amount: 30.00, period: month}
"""


def books(terms: str = "", text: str = BOOK) -> RateBooks:
    return RateBooks([parse_rate_book(text + "".join(f"    {line}\n" for line in terms.strip().splitlines()), "book.yaml")])


def changing(terms: str, later_terms: str, on: str) -> RateBooks:
    """Books with different terms, of which the second is in force from a day on."""
    later = BOOK.replace("id: book", "id: later", 1).replace("2020-01-01", on)
    return RateBooks([*books(terms).books, *books(later_terms, later).books])


def switching(terms: str) -> RateBooks:
    """Books with the same terms, of which the one in force from the middle of March on includes tax."""
    return changing(terms, f"tax: included\n{terms.strip()}", "2026-03-15")


def product(id: str = "line-1", offering: str = "basic", started: datetime = LONG_AGO, ended: datetime | None = None) -> Product:
    return Product(id, "ada", offering, "Mobile", "active", started, ended)


def charge(id: str, amount: str | Decimal, period: Period = MARCH, **fields: Any) -> Charge:
    rounded = Decimal(amount)
    return usage_charge(id, rounded, **{"period": period, "state": ChargeState.CLOSED, "amount": rounded, **fields})


def cut(id: str = "run|ada", period: Period | None = MARCH, **fields: Any) -> PeriodCut:
    run_type = RunType.ON_CYCLE if period else RunType.OFF_CYCLE
    return PeriodCut(id=id, account_id="ada", run_type=run_type, period=period, cause_id=id, requested_at=NOW, **fields)


RUN = cut()


def closed(charges: Sequence[Charge], cut_id: str) -> list[Charge]:
    """What the cut does with the charges that are made."""
    return [each.model_copy(update={"state": ChargeState.CLOSED, "amount": line_amount(each), "cut_id": cut_id}) for each in charges]


def made(
    by: RateBooks, *charges: Charge, cut: PeriodCut = RUN, products: Sequence[Product] = (product(),), earlier: Sequence[Charge] = ()
) -> list[Charge]:
    return closed(adjustments(ADA, charges, products, by, cut, NOW, earlier), cut.id)


def told(charges: Sequence[Charge]) -> list[str]:
    return [f"{each.price_id} {each.amount}" for each in charges]


def test_the_terms_of_a_book_become_charges_of_the_cut() -> None:
    terms = """
discounts:
  - {id: loyal, description: Loyalty, percent: 10}
spending_cap: {id: cap, description: Bill limit, amount: 50, scope: usage}
minimum_commitment: {id: minimum, description: Minimum, amount: 60}
"""
    (loyal, cap, minimum) = made(books(terms), charge("c1", "100.00"))
    assert told([loyal, cap, minimum]) == ["loyal -10.00", "cap -40.00", "minimum 10.00"]
    assert (loyal.kind, cap.kind, minimum.kind) == (ChargeKind.DISCOUNT, ChargeKind.CAP, ChargeKind.COMMITMENT)
    assert loyal.id == "ada|line-1|basic|discount|loyal|||2026-03-01|2026-04-01|adjusted|run%7Cada"
    assert (loyal.product_name, loyal.offering_id, loyal.description, loyal.period) == ("Mobile", "basic", "Loyalty", MARCH)


def test_an_offering_without_terms_makes_nothing_and_asks_for_nothing() -> None:
    assert made(books(), charge("c1", "100.00")) == []
    assert not may_be_adjusted(ADA, [charge("c1", "100.00")], [product()], books())
    with_terms = books("discounts: {id: d, description: D, percent: 10}")
    assert may_be_adjusted(ADA, [charge("c1", "100.00")], [], with_terms)
    assert may_be_adjusted(ADA, [], [product()], with_terms)


def test_each_product_is_discounted_by_itself() -> None:
    terms = books("discounts: {id: d, description: D, fixed: 5}")
    charges = [charge("c1", "3.00"), charge("c2", "9.00", product_id="line-2")]
    found = made(terms, *charges, products=[product(), product("line-2")])
    assert [(each.product_id, str(each.amount)) for each in found] == [("line-1", "-3.00"), ("line-2", "-5.00")]


def test_each_tax_category_has_a_charge_of_its_own() -> None:
    terms = books("discounts: {id: d, description: D, percent: 50}")
    found = made(terms, charge("c1", "3.00"), charge("c2", "9.00", tax_category="reduced"))
    assert [(each.tax_category, str(each.amount)) for each in found] == [(None, "-1.50"), ("reduced", "-4.50")]
    assert len({each.id for each in found}) == 2


def test_a_fixed_discount_is_given_once_a_month_on_however_many_bills() -> None:
    terms = books("discounts: {id: d, description: D, fixed: 10}")
    on_demand = cut("demand", None)
    first = [charge("c1", "6.00"), *made(terms, charge("c1", "6.00"), cut=on_demand)]
    assert told(first[1:]) == ["d -6.00"]
    second = made(terms, charge("c2", "20.00"), earlier=first)
    assert told(second) == ["d -4.00"]


def test_what_is_not_due_any_more_is_taken_back() -> None:
    terms = books("spending_cap: {id: cap, description: Cap, amount: 10}")
    first = [charge("c1", "16.00"), *made(terms, charge("c1", "16.00"))]
    credit = charge("a1", "-4.00", kind=ChargeKind.ADJUSTMENT)
    assert told(made(terms, credit, cut=cut("next"), earlier=first)) == ["cap 4.00"]


def test_a_commitment_is_trued_up_when_the_cycle_bills_the_month_and_not_on_demand() -> None:
    terms = books("minimum_commitment: {id: m, description: M, amount: 100}")
    on_demand = made(terms, charge("c1", "30.00"), cut=cut("demand", None))
    assert on_demand == []
    assert told(made(terms, charge("c2", "20.00"), earlier=[charge("c1", "30.00")])) == ["m 50.00"]
    assert told(made(terms)) == ["m 100.00"]


def test_late_usage_is_set_against_the_commitment_of_its_own_month() -> None:
    terms = books("minimum_commitment: {id: m, description: M, amount: 100}")
    february = [charge("c1", "30.00", FEBRUARY), *made(terms, charge("c1", "30.00", FEBRUARY), cut=cut("feb", FEBRUARY))]
    late = charge("c2", "25.00", FEBRUARY, sequence=1)
    found = made(terms, late, charge("c3", "100.00"), earlier=february)
    assert [(each.price_id, str(each.amount), each.period) for each in found] == [("m", "-25.00", FEBRUARY)]


def test_a_fee_in_arrears_counts_for_the_month_in_which_it_ends_and_one_in_advance_where_it_begins() -> None:
    terms = books("minimum_commitment: {id: m, description: M, amount: 100}")
    quarter = Period(start=calendar_month("2026-01", MADRID).start, end=MARCH.end)
    arrears = charge("q", "90.00", quarter, kind=ChargeKind.RECURRING, opened_at=NOW)
    assert told(made(terms, arrears)) == ["m 10.00"]
    advance = charge("a", "90.00", APRIL, kind=ChargeKind.RECURRING, opened_at=NOW)
    assert told(made(terms, advance)) == ["m 100.00"]
    assert first_adjusted(ADA, [arrears, advance], [], terms, RUN) == MARCH.start
    assert first_adjusted(ADA, [charge("c", "1", FEBRUARY)], [product()], terms, RUN) == FEBRUARY.start


def test_a_commitment_is_prorated_to_the_last_day_of_a_product_or_its_account() -> None:
    terms = books("minimum_commitment: {id: m, description: M, amount: 31}")
    ended = datetime(2026, 3, 10, 11, tzinfo=UTC)
    assert told(made(terms, products=[product(ended=ended)])) == ["m 10.00"]
    assert told(made(terms, cut=cut(account_closed_at=ended))) == ["m 10.00"]
    assert told(made(terms, products=[product(started=datetime(2026, 3, 30, 22, tzinfo=UTC))])) == ["m 1.00"]
    assert told(made(terms, products=[product(started=datetime(2026, 4, 2, tzinfo=UTC))])) == []


def test_a_discount_for_the_first_months_ends_with_them() -> None:
    terms = books("discounts: {id: d, description: D, percent: 10, for_first: 3 months}")
    for started, expected in (("2026-01-02", ["d -1.00"]), ("2026-01-01", ["d -1.00"]), ("2025-12-01", []), ("2025-12-02", ["d -1.00"])):
        began = datetime.fromisoformat(f"{started}T12:00:00+01:00")
        assert told(made(terms, charge("c1", "10.00"), products=[product(started=began)])) == expected, started


def test_the_terms_are_those_of_the_book_at_the_start_of_the_month() -> None:
    old = parse_rate_book(f"{BOOK}    discounts: {{id: d, description: D, percent: 10}}\n", "old.yaml")
    new_text = BOOK.replace("id: book", "id: new", 1).replace("2020-01-01", "2026-03-15")
    new = parse_rate_book(f"{new_text}    discounts: {{id: d, description: D, percent: 50}}\n", "new.yaml")
    both = RateBooks([old, new])
    assert told(made(both, charge("c1", "10.00"))) == ["d -1.00"]
    assert told(made(both, charge("c1", "10.00", APRIL), cut=cut("apr", APRIL))) == ["d -5.00"]


def test_a_product_that_changed_its_offering_has_the_terms_of_each() -> None:
    terms = BOOK + "    discounts: {id: d, description: D, percent: 10}\n" + BOOK.split("offerings:\n")[1].replace("basic", "other")
    found = made(books(text=terms), charge("c1", "10.00"), charge("c2", "10.00", offering_id="other"), products=[product(offering="other")])
    assert [(each.offering_id, str(each.amount)) for each in found] == [("basic", "-1.00")]


def test_the_commitments_of_two_offerings_in_one_month_are_due_for_the_days_of_each() -> None:
    other = BOOK.split("offerings:\n")[1].replace("basic", "other")
    terms = (
        f"{BOOK}    minimum_commitment: {{id: m, description: M, amount: 31}}\n"
        f"{other}    minimum_commitment: {{id: n, description: N, amount: 310}}\n"
    )
    changed = FormerOffering(offering_id="basic", until=datetime(2026, 3, 11, 9, tzinfo=UTC))
    found = made(books(text=terms), products=[replace(product(offering="other"), former_offerings=(changed,))])
    assert told(found) == ["m 10.00", "n 210.00"]


def test_a_commitment_of_a_quarter_is_due_with_its_last_month_and_counts_what_discounts_left() -> None:
    terms = books(
        """
discounts: {id: d, description: D, percent: 10}
minimum_commitment: {id: q, description: Q, amount: 100, period: quarter}
"""
    )
    in_february = [charge("c1", "30.00", FEBRUARY), *made(terms, charge("c1", "30.00", FEBRUARY), cut=cut("feb", FEBRUARY))]
    assert told(in_february[1:]) == ["d -3.00"]
    in_march = made(terms, charge("c2", "40.00"), earlier=in_february)
    assert told(in_march) == ["d -4.00", "q 37.00"]
    assert in_march[1].period == Period(start=calendar_month("2026-01", MADRID).start, end=MARCH.end)
    assert first_adjusted(ADA, [charge("c2", "40.00")], [product()], terms, RUN) == calendar_month("2026-01", MADRID).start

    late = made(terms, charge("c3", "10.00", sequence=1), cut=cut("apr", APRIL), earlier=[*in_february, charge("c2", "40.00"), *in_march])
    assert told(late) == ["d -1.00", "q -9.00"]


def test_a_commitment_of_a_year_is_due_for_its_days_when_the_product_ends_and_only_once() -> None:
    terms = books("minimum_commitment: {id: y, description: Y, amount: 365, period: year}")
    line = product(ended=datetime(2026, 3, 10, 11, tzinfo=UTC))
    at_the_end = made(terms, charge("c1", "10.00"), products=[line], earlier=[charge("c0", "9.00", FEBRUARY)])
    assert told(at_the_end) == ["y 50.00"]
    after = [charge("c0", "9.00", FEBRUARY), charge("c1", "10.00"), *at_the_end]
    assert made(terms, cut=cut("apr", APRIL), products=[line], earlier=after) == []
    assert told(made(terms, products=[product(started=MARCH.start)], cut=cut("dec", calendar_month("2026-12", MADRID)))) == ["y 306.00"]
    assert made(terms, charge("c1", "10.00")) == []
    assert made(terms, charge("c1", "10.00"), cut=cut("demand", None), products=[line]) == []


def test_a_commitment_of_a_quarter_has_the_terms_of_its_last_month_whichever_month_is_billed() -> None:
    terms, later_terms = (f"minimum_commitment: {{id: q, description: Q, amount: {amount}, period: quarter}}" for amount in (90, 180))
    by = changing(terms, later_terms, "2026-02-20")
    charges = [charge("c1", "30.00", FEBRUARY), charge("c2", "40.00")]
    at_the_end = made(by, charges[1], earlier=charges[:1])
    assert told(at_the_end) == ["q 110.00"]
    late = charge("c3", "10.00", FEBRUARY, sequence=1)
    assert told(made(by, late, cut=cut("apr", APRIL), earlier=[*charges, *at_the_end])) == ["q -10.00"]

    left = product(ended=datetime(2026, 2, 14, 11, tzinfo=UTC))
    in_february = made(by, charges[0], cut=cut("feb", FEBRUARY), products=[left])
    assert told(in_february) == ["q 15.00"], "half of the quarter's 90 days"
    assert made(by, products=[left], earlier=[charges[0], *in_february]) == []


def test_a_commitment_of_a_year_counts_what_is_missing_to_that_of_its_last_quarter() -> None:
    by = books(
        """
minimum_commitment:
  - {id: y, description: Y, amount: 365, period: year}
  - {id: q, description: Q, amount: 92, period: quarter}
  - {id: r, description: R, amount: 100, period: quarter}
"""
    )
    october, december = (calendar_month(month, MADRID) for month in ("2026-10", "2026-12"))
    charges, lines = [charge("c1", "40.00", december)], [product(started=october.start)]
    at_the_end = made(by, *charges, cut=cut("dec", december), products=lines)
    assert told(at_the_end) == ["q 52.00", "r 8.00"], "which is more than the 92 that are due of the year"
    late = made(
        by,
        charge("c2", "10.00", october, sequence=1),
        cut=cut("jan", calendar_month("2027-01", MADRID)),
        products=lines,
        earlier=[*charges, *at_the_end],
    )
    assert told(late) == ["q -10.00"]


def test_a_commitment_keeps_its_terms_when_the_product_gets_the_offering_again_in_a_later_quarter() -> None:
    terms, later_terms = (f"minimum_commitment: {{id: q, description: Q, amount: {amount}, period: quarter}}" for amount in (90, 180))
    by = changing(terms, later_terms, "2026-02-20")
    left = FormerOffering(offering_id="basic", until=datetime(2026, 2, 14, 11, tzinfo=UTC))
    elsewhere = FormerOffering(offering_id="other", until=datetime(2026, 6, 1, 11, tzinfo=UTC))
    first = charge("c1", "30.00", FEBRUARY)
    at_the_end = made(by, first, cut=cut("feb", FEBRUARY), products=[replace(product(offering="other"), former_offerings=(left,))])
    assert told(at_the_end) == ["q 14.00"]
    late, back = charge("c2", "1.00", FEBRUARY, sequence=1), replace(product(), former_offerings=(left, elsewhere))
    july = cut("jul", calendar_month("2026-07", MADRID))
    assert told(made(by, late, cut=july, products=[back], earlier=[first, *at_the_end])) == ["q -1.00"]


def test_late_usage_lowers_a_commitment_that_no_book_of_its_month_or_of_the_cut_has() -> None:
    commitment = "minimum_commitment: {id: q, description: Q, amount: 100, period: quarter}"
    after = BOOK.replace("id: book", "id: after", 1).replace("2020-01-01", "2026-03-31")
    by = RateBooks([*changing("", commitment, "2026-02-10").books, *books("", after).books])
    charges = [charge("c1", "40.00")]
    at_the_end = made(by, *charges)
    assert told(at_the_end) == ["q 60.00"]
    late, april = charge("c2", "10.00", calendar_month("2026-01", MADRID), sequence=1), cut("apr", APRIL)
    assert told(made(by, late, cut=april, earlier=[*charges, *at_the_end])) == ["q -10.00"]
    assert may_be_adjusted(ADA, [late], [product()], by), "or the cut asks for no earlier charges"
    assert first_adjusted(ADA, [late], [product()], by, april) == calendar_month("2026-01", MADRID).start


def test_discounts_after_tax_go_with_the_cut_to_the_bill() -> None:
    terms = books(
        """
discounts:
  - {id: staff, description: Staff, percent: 10, applied: after_tax}
  - {id: voucher, description: Voucher, fixed: 5, applied: after_tax}
  - {id: early, description: Early, percent: 5, applied: after_tax, until: 2026-03-01}
  - {id: spring, description: Spring, percent: 5, applied: after_tax, from: 2026-02-01, until: 2026-05-01, for_first: 99 months, maximum: 9}
  - {id: before, description: Before tax, percent: 5}
"""
    )
    charges = [charge("c1", "10.00")]

    def due(cut: PeriodCut) -> list[str]:
        return [each.discount.id for each in discounts_due(ADA, charges, [product(), product("line-2")], terms, cut, MARCH.start)]

    assert due(cut()) == ["staff", "voucher", "spring"]
    answer = ChargesClosed(
        **{**dict(cut()), "currency": "EUR", "closed_at": NOW},
        discounts_after_tax=discounts_due(ADA, charges, [product()], terms, cut(), MARCH.start),
    )
    stored = bson.decode(bson.encode(to_document(answer), codec_options=CODEC_OPTIONS), codec_options=CODEC_OPTIONS)
    assert from_document(ChargesClosed, stored) == answer
    assert due(cut("demand", None)) == ["staff"]


def test_prices_that_include_tax_are_told_so_with_what_is_made_of_them() -> None:
    terms = books("tax: included\ndiscounts: {id: d, description: D, percent: 10}")
    assert [each.is_tax_included for each in made(terms, charge("c1", "10.00", is_tax_included=True))] == [True]
    without = books("discounts: {id: d, description: D, percent: 10}")
    assert [each.is_tax_included for each in made(without, charge("c1", "10.00"))] == [False]


def test_in_a_month_in_which_a_book_begins_to_include_tax_each_discount_is_taxed_as_what_it_lowers() -> None:
    terms = """
discounts: {id: d, description: D, percent: 10}
minimum_commitment: {id: m, description: M, amount: 70}
"""
    by = switching(terms)
    found = made(by, charge("c1", "20.00"), charge("c2", "30.00", is_tax_included=True))
    assert [(each.price_id, str(each.amount), each.is_tax_included) for each in found] == [
        ("d", "-2.00", False),
        ("d", "-3.00", True),
        # As its terms are, which are those of the month's start.
        ("m", "25.00", False),
    ]
    assert [each.id.split("|")[4:7] for each in found] == [["d", "", ""], ["d", "", "tax-included"], ["m", "", ""]]
    assert [each.is_tax_included for each in made(by, charge("c3", "80.00", APRIL, is_tax_included=True), cut=cut("apr", APRIL))] == [True]


def test_what_an_earlier_cut_taxed_otherwise_is_made_right_by_the_next_one() -> None:
    by = switching("discounts: {id: d, description: D, percent: 10}")
    first = charge("c1", "20.00")
    as_at_the_end = [each.model_copy(update={"is_tax_included": True}) for each in made(by, first, cut=cut("demand", None))]
    found = made(by, charge("c2", "30.00", is_tax_included=True), earlier=[first, *as_at_the_end])
    assert {(str(each.amount), each.is_tax_included) for each in found} == {("-2.00", False), ("-1.00", True)}


def test_a_long_commitment_includes_tax_as_its_terms_do_and_is_corrected_as_it_was_charged() -> None:
    by = switching("minimum_commitment: {id: q, description: Q, amount: 100, period: quarter}")
    first = made(by, charge("c1", "40.00", is_tax_included=True))
    assert [(str(each.amount), each.is_tax_included) for each in first] == [("60.00", False)]
    earlier = [charge("c1", "40.00", is_tax_included=True), *first]
    late = charge("c2", "10.00", sequence=1, is_tax_included=True)
    (corrected,) = made(by, late, cut=cut("apr", APRIL), earlier=earlier)
    assert (str(corrected.amount), corrected.is_tax_included) == ("-10.00", False)


def test_the_cut_closes_what_it_makes_and_puts_it_on_the_lines() -> None:
    terms = books("tax: included\ndiscounts: {id: d, description: D, percent: 10, scope: recurring}")
    usage = charge("c1", "0", state=ChargeState.OPEN, sums={"100": Decimal(1000)}, is_tax_included=True)
    decided: Any = decide_cut(AccountToCut(ADA, [usage], [product()]), cut(), terms, NOW)
    assert [(line.price_id, str(line.amount), line.is_tax_included) for line in decided.answer.lines] == [
        ("calls", "10.00", True),
        ("fee", "30.00", True),
        ("d", "-3.00", True),
    ]
    assert [each.state for each in decided.made] == [ChargeState.CLOSED, ChargeState.CLOSED]


TERMS = """
discounts:
  - {id: tenth, description: Tenth, percent: 10}
  - {id: five, description: Five, fixed: 5}
  - {id: tiers, description: Tiers, graduated: [{up_to: 20, percent: 5}, {percent: 15}], maximum: 12}
spending_cap: {id: cap, description: Cap, amount: 60}
minimum_commitment: {id: minimum, description: Minimum, amount: 40}
"""
BY_TERMS = books(TERMS)


@given(st.lists(st.tuples(st.integers(0, 5_000), st.sampled_from([None, "reduced"]), st.booleans(), st.integers(0, 3)), max_size=8))
def test_a_month_comes_to_the_same_on_one_bill_as_on_several(usages: list[tuple[int, str | None, bool, int]]) -> None:
    charges = [
        charge(f"c{n}", Decimal(cents).scaleb(-2), tax_category=category, is_tax_included=included, sequence=number)
        for n, (cents, category, included, number) in enumerate(usages)
    ]
    at_once = [*charges, *made(BY_TERMS, *charges)]
    earlier: list[Charge] = []
    for number in range(3):
        some = [each for each in charges if each.sequence == number]
        earlier += [*some, *made(BY_TERMS, *some, cut=cut(f"demand-{number}", None), earlier=earlier)]
    rest = [each for each in charges if each.sequence == 3]
    earlier += [*rest, *made(BY_TERMS, *rest, earlier=earlier)]
    for price_id in ("tenth", "five", "tiers", "cap", "minimum"):
        for taxed in product_of([None, "reduced"], [False, True]):
            sums = {
                sum(each.amount or 0 for each in bills if (each.price_id, each.tax_category, each.is_tax_included) == (price_id, *taxed))
                for bills in (at_once, earlier)
            }
            assert len(sums) == 1, (price_id, taxed)
    for bills in (at_once, earlier):
        assert len({each.id for each in bills}) == len(bills)

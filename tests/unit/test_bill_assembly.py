"""From closed charges to a bill: totals, dates, ids, and every reason why an account is parked instead."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.billing import TaxTable, assemble_bill
from libs.billing.invariants import LINES_MAX, broken_invariant
from libs.billing.tax_table import DatedTax
from libs.billing.taxes import Tax
from libs.contracts import (
    AccountParked,
    AppliedTax,
    BillDiscount,
    BillSkipped,
    ChargeKind,
    ChargesClosed,
    PostalAddress,
    RunType,
)
from libs.contracts.adjustments import Discount, DiscountDue
from libs.money import minor_unit_decimals
from libs.periods import Period, calendar_month
from tests.closings import CLOSED_AT, TERMS, closed, line, on_demand
from tests.outcomes import account, bill_of

GST, QST = Tax("gst", Decimal(5)), Tax("qst", Decimal("9.5"), ("gst",))
LESS_ONE = BillDiscount(discount_id="d", product_id="line-1", product_name="Mobile", description="Off", amount=Decimal("-1.00"))
MORE_ONE = LESS_ONE.model_copy(update={"amount": Decimal("1.00")})


def reason(charges: ChargesClosed, **account_fields: Any) -> str:
    parked = assemble_bill(charges, account(charges.account_id, **account_fields), TERMS)
    assert isinstance(parked, AccountParked), parked
    assert (parked.id, parked.account_id, parked.run_type, parked.cause_id) == (
        charges.id,
        charges.account_id,
        charges.run_type,
        charges.cause_id,
    )
    return parked.reason


def test_a_bill_adds_up():
    ada = bill_of(closed("ada", "27.05", "16.60", "11.08", "2.70"))
    assert (ada.tax_excluded_amount, ada.tax_included_amount) == (Decimal("57.43"), Decimal("69.49"))
    assert ada.amount_due == ada.remaining_amount == Decimal("69.49")
    assert ada.tax_items == (AppliedTax(category="standard", rate=Decimal(21), amount=Decimal("12.06")),)
    assert sum(item.amount for line in ada.lines for item in line.taxes) == Decimal("12.06")


def test_a_bill_keeps_what_it_was_issued_with():
    ada = bill_of(closed("ada", "1.00"), name="Ada Lovelace", related_party_id="p-1")
    assert (ada.account_name, ada.related_party_id, ada.time_zone, ada.currency) == ("Ada Lovelace", "p-1", "Europe/Madrid", "EUR")
    assert (ada.template_version, ada.issuer, ada.locale) == ("bill-1", TERMS.issuer, "en")
    assert (ada.cut_id, ada.cause_id, ada.bill_date, ada.last_update_at) == ("run|ada", "monthly:2026-03", CLOSED_AT, CLOSED_AT)


def test_nothing_closed_is_skipped_even_for_an_unknown_account():
    assert assemble_bill(closed("ada"), None, TERMS) == BillSkipped(
        id="run|ada", account_id="ada", run_type=RunType.ON_CYCLE, cause_id="monthly:2026-03"
    )


def test_payment_is_due_at_the_end_of_the_day_in_the_accounts_zone():
    # The clocks of Madrid go forward on 29 March 2026, those of Caracas never do.
    closed_at = datetime(2026, 3, 16, 22, 30, tzinfo=UTC)
    assert bill_of(closed("ada", "1.00", closed_at=closed_at)).payment_due_at == datetime(2026, 3, 30, 21, 59, 59, tzinfo=UTC)
    caracas = bill_of(closed("ada", "1.00", closed_at=closed_at), time_zone="America/Caracas", payment_due_days=0)
    assert caracas.payment_due_at == datetime(2026, 3, 17, 3, 59, 59, tzinfo=UTC)


def test_the_next_bill_of_a_month_comes_with_the_end_of_the_next_month():
    assert bill_of(closed("ada", "1.00")).next_bill_at == calendar_month("2026-04", "Europe/Madrid").end
    january = calendar_month("2026-01", "Europe/Madrid")
    assert bill_of(closed("ada", "1.00", period=january)).next_bill_at == calendar_month("2026-02", "Europe/Madrid").end


def test_the_next_bill_of_another_cycle_comes_after_as_many_days_again():
    # Two weeks with the change to summer time in the second: local midnights all the way.
    fortnight = Period(start=datetime(2026, 3, 8, 23, tzinfo=UTC), end=datetime(2026, 3, 22, 23, tzinfo=UTC))
    assert bill_of(closed("ada", "1.00", period=fortnight)).next_bill_at == datetime(2026, 4, 5, 22, tzinfo=UTC)


def test_a_bill_on_demand_foretells_no_next_bill():
    assert bill_of(on_demand("ada", "1.00", request_id="r1")).next_bill_at is None


def test_a_bill_id_tells_account_period_and_kind():
    # March of Madrid starts on 28 February in UTC.
    assert bill_of(closed("ada", "1.00")).id == "ada.2026-03-01.onCycle"
    assert [document.id for document in bill_of(closed("ada", "1.00")).documents] == ["ada.2026-03-01.onCycle.pdf"]


def test_bills_on_demand_of_one_period_have_ids_of_their_own_and_keep_them():
    first, second = (bill_of(on_demand("ada", "1.00", request_id=request)).id for request in ("r1", "r2"))
    assert first.startswith("ada.2026-03-01.offCycle.")
    assert first != second
    assert first == bill_of(on_demand("ada", "2.00", request_id="r1")).id


def test_the_longest_account_id_still_leads_to_a_bill():
    long = "a" * 256
    assert len(bill_of(closed(long, "1.00", cut_id="run")).documents[0].id) < 256


def test_an_exempt_account_pays_no_tax_and_the_bill_says_so():
    ada = bill_of(closed("ada", "100.00"), tax_exempt=True, tax_category="no such category")
    assert ada.tax_items == (AppliedTax(category="exempt", rate=Decimal(0), amount=Decimal("0.00")),)
    assert ada.amount_due == Decimal("100.00")


def test_a_charge_with_a_tax_category_of_its_own_is_taxed_by_it():
    ada = bill_of(closed("ada", lines=[line("c1", "10.00"), line("c2", "10.00", tax_category="reduced")]))
    assert [(item.category, item.amount) for item in ada.tax_items] == [("reduced", Decimal("1.00")), ("standard", Decimal("2.10"))]
    assert [item.taxes[0].category for item in ada.lines] == ["standard", "reduced"]


def test_amounts_get_the_decimals_of_their_currency():
    ada = bill_of(closed("ada", "12.5"))
    assert [str(ada.lines[0].amount), str(ada.tax_excluded_amount)] == ["12.50", "12.50"]
    assert str(bill_of(closed("ada", "1234", currency="JPY")).tax_included_amount) == "1493"
    assert str(bill_of(closed("ada", "1.234", currency="KWD")).tax_included_amount) == "1.493"


def test_credits_above_charges_make_a_bill_in_the_customers_favour():
    assert bill_of(closed("ada", "10.00", "-30.00")).amount_due == Decimal("-24.20")


DISCOUNT_LINE = {"kind": ChargeKind.DISCOUNT, "price_id": "loyalty", "description": "Loyalty"}


def test_a_discount_line_lowers_the_tax_of_its_category():
    ada = bill_of(closed("ada", lines=[line("c1", "100.00"), line("d1", "-10.00", **DISCOUNT_LINE)]))
    assert (ada.tax_excluded_amount, ada.tax_items[0].amount, ada.amount_due) == (Decimal("90.00"), Decimal("18.90"), Decimal("108.90"))


def test_a_discount_after_tax_lowers_what_is_due_and_not_the_tax():
    due = [percent_after_tax("staff", 10), percent_after_tax("other", 50, product_id="line-2"), percent_after_tax("friends", 5)]
    ada = bill_of(closed("ada", "100.00", discounts_after_tax=tuple(due)))
    assert (ada.tax_included_amount, ada.amount_due, ada.remaining_amount) == (Decimal("121.00"), Decimal("103.45"), Decimal("103.45"))
    assert [(discount.discount_id, str(discount.amount)) for discount in ada.discounts] == [("staff", "-12.10"), ("friends", "-5.45")]


def test_a_credit_has_no_discount_after_tax():
    assert bill_of(closed("ada", "-100.00", discounts_after_tax=(percent_after_tax("staff", 10),))).discounts == ()


def percent_after_tax(id: str, percent: int, product_id: str = "line-1") -> DiscountDue:
    discount = Discount(id=id, description=id, model="percent", percent=Decimal(percent), is_after_tax=True)
    return DiscountDue(product_id=product_id, product_name="Mobile", discount=discount)


def test_the_account_address_says_which_taxes_a_line_bears():
    taxes = {"": {"standard": (DatedTax(Tax("vat", Decimal(21))),)}, "ca/quebec": {"standard": (DatedTax(GST), DatedTax(QST))}}
    quebec, terms = PostalAddress(country="CA", state_or_province="Quebec"), replace(TERMS, tax_table=TaxTable(taxes))
    ada = bill_of(closed("ada", "100.00", "10.00"), terms=terms, address=quebec)
    assert [(item.category, str(item.amount), item.on) for item in ada.tax_items] == [
        ("gst", "5.50", ()),
        ("qst", "10.97", ("gst",)),
    ]
    assert [str(tax.amount) for tax in ada.lines[1].taxes] == ["0.50", "1.00"]


def test_the_rate_is_that_of_the_last_day_of_a_line_or_of_the_bill_where_that_is_earlier():
    new_year, april = date(2026, 4, 1), calendar_month("2026-04", "Europe/Madrid")
    taxes = (DatedTax(Tax("vat", Decimal(10)), until=new_year), DatedTax(Tax("vat", Decimal(20)), levied_from=new_year))
    terms = replace(TERMS, tax_table=TaxTable({"": {"standard": taxes}}))

    def rates(charges: ChargesClosed) -> list[Decimal]:
        return [bill_line.taxes[0].rate for bill_line in bill_of(charges, terms=terms).lines]

    lines = [line("c1", "10.00"), line("c2", "10.00", period=april)]
    assert rates(closed("ada", lines=lines)) == [10, 20]
    assert rates(closed("ada", lines=lines, closed_at=datetime(2026, 3, 31, 21, 59, tzinfo=UTC))) == [10, 10]


def test_prices_that_include_tax_are_billed_without_it_and_come_to_themselves():
    ada = bill_of(closed("ada", lines=[line("c1", "121.00", is_tax_included=True), line("c2", "10.00")]))
    assert [str(bill_line.amount) for bill_line in ada.lines] == ["100.00", "10.00"]
    assert (ada.tax_excluded_amount, ada.amount_due) == (Decimal("110.00"), Decimal("133.10"))


def test_an_exempt_account_pays_the_whole_price_that_includes_tax():
    ada = bill_of(closed("ada", lines=[line("c1", "121.00", is_tax_included=True)]), tax_exempt=True)
    assert (ada.tax_excluded_amount, ada.amount_due) == (Decimal("121.00"), Decimal("121.00"))


def test_a_category_without_a_tax_on_the_day_is_parked():
    table = TaxTable({"": {"standard": (DatedTax(Tax("vat", Decimal(10)), levied_from=date(2027, 1, 1)),)}})
    parked = assemble_bill(closed("ada", "1.00"), account("ada"), replace(TERMS, tax_table=table))
    assert isinstance(parked, AccountParked)
    assert parked.reason == (
        "no tax rate for category 'standard' on 2026-03-31; add one that holds then to the tax rate table, 0 if there is no tax"
    )


def test_an_account_nobody_heard_of_is_parked():
    parked = assemble_bill(closed("ada", "1.00"), None, TERMS)
    assert isinstance(parked, AccountParked)
    assert "account ada is not known to invoicing" in parked.reason


@pytest.mark.parametrize(
    ("charges", "account_fields", "complaint"),
    [
        ({}, {"tax_category": "luxury"}, "no tax rate for category 'luxury'; add it to the tax rate table (it knows reduced, standard"),
        ({"currency": "USD"}, {}, "charges are in USD, account ada is billed in EUR"),
        ({"currency": "XXX"}, {}, "'XXX' has no minor unit"),
        ({"currency": "GOLD"}, {}, "'GOLD' is not an ISO 4217 currency"),
        ({}, {"time_zone": "Mars/Olympus"}, "'Mars/Olympus' is not an IANA time zone"),
        ({}, {"payment_due_days": -1}, "payment is due after -1 days; set 0 to 3650"),
        ({}, {"payment_due_days": 10**9}, "payment is due after 1000000000 days"),
        ({"lines": (line("c1", "1.005"),)}, {}, "charge c1 amounts to 1.005 EUR, which is not rounded to 2 decimals"),
        ({"lines": (line("c1", "1E+33"),)}, {}, "charge c1 amounts to 1.000E+33 EUR, which no bill can carry"),
        ({"lines": (line("c1", "1E+21"),)}, {}, "which no bill can carry"),
        ({"lines": (line("c1", "1E-12"),)}, {}, "which no bill can carry"),
        ({"lines": (line("c1", "1"), line("c1", "1"))}, {}, "charge c1 stands twice on the bill"),
        ({"lines": tuple(line(f"c{n}", "1") for n in range(LINES_MAX + 1))}, {}, "5001 lines are more than the 5000"),
        ({"lines": (line("c1", "1", tax_category="luxury"),)}, {}, "no tax rate for category 'luxury'"),
        ({"closed_at": datetime(9999, 12, 31, tzinfo=UTC)}, {}, "no due date can be given after 9900"),
    ],
)
def test_what_cannot_be_billed_is_parked_with_what_to_mend(charges: dict[str, Any], account_fields: dict[str, Any], complaint: str):
    assert complaint in reason(closed("ada", "1.00").model_copy(update=charges), **account_fields)


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"tax_excluded_amount": Decimal("9.99")}, "lines add up to 10.00, not to the amount without tax 9.99"),
        ({"tax_included_amount": Decimal("12.11")}, "do not add up to the total 12.11"),
        ({"amount_due": Decimal("12.09")}, "amount due 12.09 is not the total 12.10"),
        ({"discounts": (LESS_ONE,)}, "amount due 12.10 is not the total 12.10 less discounts of 1.00"),
        ({"discounts": (MORE_ONE,), "amount_due": Decimal("13.10")}, "a discount raises what is due"),
        ({"tax_items": (AppliedTax(category="zero", rate=Decimal(0), amount=Decimal("2.10")),)}, "shares of tax"),
    ],
)
def test_a_bill_that_does_not_add_up_is_found_out(broken: dict[str, Any], complaint: str):
    assert complaint in (broken_invariant(bill_of(closed("ada", "10.00")).model_copy(update=broken)) or "")


@given(
    st.lists(st.tuples(st.integers(-(10**9), 10**9), st.booleans()), min_size=1, max_size=8),
    st.lists(st.decimals(Decimal("0.01"), 100, places=2), max_size=3),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_every_bill_with_discounts_after_tax_and_prices_with_tax_adds_up(
    charges: list[tuple[int, bool]], percents: list[Decimal], currency: str
):
    unit = Decimal(1).scaleb(-minor_unit_decimals(currency))
    lines = [line(f"c{n}", amount * unit, is_tax_included=included) for n, (amount, included) in enumerate(charges)]
    due = tuple(
        DiscountDue(
            product_id="line-1",
            product_name="Mobile",
            discount=Discount(id=f"d{n}", description="Off", model="percent", percent=percent, is_after_tax=True),
        )
        for n, percent in enumerate(percents)
    )
    ada = bill_of(closed("ada", lines=lines, discounts_after_tax=due, currency=currency))
    assert broken_invariant(ada) is None
    assert min(ada.tax_included_amount, Decimal(0)) <= ada.amount_due <= ada.tax_included_amount


amounts = st.integers(min_value=-(10**15), max_value=10**15)


@given(st.lists(st.tuples(amounts, st.sampled_from([None, "reduced", "zero", "us-communications"])), min_size=1, max_size=25))
def test_every_bill_adds_up(charges: list[tuple[int, str | None]]):
    lines = [line(f"c{n}", Decimal(cents).scaleb(-2), tax_category=category) for n, (cents, category) in enumerate(charges)]
    ada = bill_of(closed("ada", lines=lines))
    assert broken_invariant(ada) is None
    assert ada.tax_excluded_amount == Decimal(sum(cents for cents, _ in charges)).scaleb(-2)
    assert ada.amount_due == ada.tax_excluded_amount + sum(item.amount for item in ada.tax_items)

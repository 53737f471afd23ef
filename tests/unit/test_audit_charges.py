"""A charge beside its usages, its cut and its bill."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.audit.domain.charges import (
    NOTHING_COUNTED,
    BilledLine,
    Closing,
    CutLine,
    Recount,
    check_amount,
    check_bill_lines,
    check_closed_account,
    check_cut,
    check_usages,
    missing_charge,
)
from libs.audit.domain.difference import Category
from libs.contracts import AppliedTax, Charge, ChargeKind, ChargeLine, ChargeState
from libs.periods import calendar_month

AT = datetime(2026, 4, 1, tzinfo=UTC)
TAXES = (AppliedTax(category="standard", rate=Decimal(21), amount=Decimal("0.04")),)
RECOUNT = Recount(2, Decimal(75), {"6000": Decimal(1275)})


def charge(**fields: Any) -> Charge:
    return Charge(
        **{
            "id": "c1",
            "account_id": "ada",
            "product_id": "p1",
            "product_name": "Line",
            "offering_id": "churn-plan",
            "price_id": "voice-day",
            "kind": ChargeKind.USAGE,
            "description": "Calls",
            "currency": "USD",
            "period": calendar_month("2026-03", "UTC"),
            "sequence": 0,
            "usage_count": 2,
            "quantity": Decimal(75),
            "sums": {"6000": Decimal(1275)},
            "updated_at": AT,
            **fields,
        }
    )


def billed(**fields: Any) -> Charge:
    closed = {"state": ChargeState.BILLED, "amount": Decimal("0.21"), "cut_id": "cut", "bill_id": "bill", "applied_taxes": TAXES}
    return charge(**{**closed, **fields})


def returned() -> Charge:
    return billed(state=ChargeState.RETURNED, bill_id=None, applied_taxes=())


def line(**fields: Any) -> ChargeLine:
    whole = billed()
    described = {name: getattr(whole, name) for name in ("product_id", "product_name", "price_id", "kind", "description", "period")}
    return ChargeLine(**{**described, "charge_id": "c1", "usage_count": 2, "quantity": Decimal(75), "amount": Decimal("0.21"), **fields})


def test_a_charge_that_is_the_sum_of_its_usages_is_right():
    assert list(check_usages(charge(), RECOUNT)) == []


@pytest.mark.parametrize(
    "fields",
    [{"usage_count": 3}, {"quantity": Decimal(76)}, {"sums": {"6000": Decimal(1276)}}, {"sums": {"60": Decimal("12.75")}}, {"sums": {}}],
)
def test_any_other_count_quantity_or_sum_differs(fields: dict[str, Any]):
    differences = list(check_usages(charge(**fields), RECOUNT))
    assert differences
    assert {difference.category for difference in differences} == {Category.CHARGE_USAGES}


def test_the_same_amount_in_other_numerators_is_a_difference_too():
    (difference,) = check_usages(charge(sums={"12000": Decimal(2550)}), RECOUNT)
    assert (difference.expected, difference.found) == ("sums 1275/6000", "2550/12000")


def test_a_fee_has_no_usages():
    fee = charge(kind=ChargeKind.RECURRING, usage_count=0, quantity=Decimal(1), sums={"1": Decimal(10)})
    assert list(check_usages(fee, NOTHING_COUNTED)) == []
    assert [difference.found for difference in check_usages(fee, RECOUNT)] == ["2 usages"]


@pytest.mark.parametrize(
    ("stored", "differs"),
    [
        (charge(), False),
        (charge(amount=Decimal("0.21")), True),
        (billed(), False),
        (billed(amount=Decimal("0.22")), True),
        (billed(amount=None), True),
        (billed(sums={"200": Decimal(1)}, amount=Decimal("0.01")), False),
        (billed(sums={"200": Decimal(1)}, amount=Decimal("0.00")), True),
    ],
)
def test_a_closed_charge_has_its_sum_rounded_half_up_and_an_open_one_no_amount(stored: Charge, differs: bool):
    assert [difference.category for difference in check_amount(stored)] == [Category.CHARGE_AMOUNT] * differs


@pytest.mark.parametrize(
    ("stored", "lines", "differs"),
    [
        (charge(), [], False),
        (charge(), [CutLine("cut", line())], True),
        (billed(), [CutLine("cut", line())], False),
        (billed(), [], True),
        (billed(), [CutLine("cut", line()), CutLine("another", line())], True),
        (billed(), [CutLine("another", line())], True),
        (billed(), [CutLine("cut", line(amount=Decimal("0.20")))], True),
        (billed(), [CutLine("earlier", line(), is_returned=True), CutLine("cut", line())], False),
        (billed(), [CutLine("earlier", line(amount=Decimal("0.20")), is_returned=True), CutLine("cut", line())], True),
        (billed(), [CutLine("cut", line(), is_returned=True)], True),
        (returned(), [CutLine("cut", line(), is_returned=True)], False),
        (returned(), [CutLine("cut", line())], True),
        (returned(), [CutLine("cut", line(), is_returned=True), CutLine("another", line())], True),
        (returned(), [], True),
    ],
)
def test_a_closed_charge_is_one_unchanged_line_of_its_cut(stored: Charge, lines: list[CutLine], differs: bool):
    assert [difference.category for difference in check_cut(stored, lines)] == [Category.CHARGE_CUT] * differs


@pytest.mark.parametrize(
    ("stored", "lines", "category"),
    [
        (billed(), [BilledLine("bill", line(), TAXES)], None),
        (charge(), [], None),
        (billed(), [BilledLine("bill", line(), TAXES), BilledLine("other", line(), TAXES)], Category.CHARGE_BILLED_TWICE),
        (billed(), [], Category.CHARGE_NOT_BILLED),
        (billed(), [BilledLine("other", line(), TAXES)], Category.CHARGE_NOT_BILLED),
        (billed(state=ChargeState.CLOSED), [BilledLine("bill", line(), TAXES)], Category.CHARGE_NOT_BILLED),
        (billed(), [BilledLine("bill", line(amount=Decimal("0.20")), TAXES)], Category.BILL_LINE),
        (billed(), [BilledLine("bill", line(), ())], Category.BILL_LINE),
    ],
)
def test_a_billed_charge_is_one_line_of_its_bill(stored: Charge, lines: list[BilledLine], category: Category | None):
    assert [difference.category for difference in check_bill_lines(stored, lines)] == ([category] if category else [])


@pytest.mark.parametrize(
    ("last_period", "closed_at", "left_behind"),
    [
        (None, AT, False),
        ("2026-04", AT, False),
        ("2026-07", AT, False),
        ("2026-08", AT, True),
        ("2026-03", None, True),
    ],
)
def test_what_a_closed_account_owes_is_reported_once_runs_pass_it_by(
    last_period: str | None, closed_at: datetime | None, left_behind: bool
):
    differences = list(check_closed_account(Closing("ada", "monthly", closed_at), last_period, ["c1"]))
    assert [(difference.category, difference.id) for difference in differences] == [(Category.CHARGE_LEFT_BEHIND, "c1")] * left_behind


def test_a_charge_that_is_missing_is_told_with_those_who_refer_to_it():
    difference = missing_charge("c9", [RECOUNT], [CutLine("cut", line())], [BilledLine("bill", line(), TAXES)])
    assert (difference.category, difference.expected) == (Category.CHARGE_MISSING, "a charge, for 2 usages, cut cut, bill bill")

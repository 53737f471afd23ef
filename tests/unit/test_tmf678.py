"""Bills and charges in TM Forum's words."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.contracts import BillState, ChargeKind, ChargeState, ChargeTiers, LineRounding, Tier
from libs.exact_json import read_json, write_json
from libs.money import RoundingMode
from libs.runtime import to_document
from services.tmf_gateway.domain.events import hub_event
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.tmf678 import (
    CUSTOMER_BILL,
    applied_billing_rate,
    customer_bill,
    new_on_demand_request,
    requested_bill_state,
)
from tests.gateway_client import a_bill, a_charge, assert_conforms

LINKS = Links("https://api.example.com")
BASE = "https://api.example.com/tmf-api/customerBillManagement/v4"


def sent(representation):
    """As the client reads it."""
    return read_json(write_json(representation))


def test_a_bill_shows_everything_the_specification_asks_for():
    shown = sent(customer_bill(to_document(a_bill(1, amount="45.07")), LINKS))

    assert_conforms(shown, "TMF678", "CustomerBill")
    assert shown["href"] == f"{BASE}/customerBill/acc-1.2026-03.1"
    assert shown["taxExcludedAmount"] == {"unit": "EUR", "value": Decimal("45.07")}
    assert shown["taxItem"] == [{"taxCategory": "standard", "taxRate": 21, "taxAmount": {"unit": "EUR", "value": Decimal("9.46")}}]
    assert shown["taxIncludedAmount"]["value"] == shown["amountDue"]["value"] == Decimal("54.53")
    assert shown["billDocument"][0]["url"] == f"{shown['href']}/billDocument/acc-1.1.pdf"
    assert shown["billingAccount"]["id"] == "acc-1"
    assert "nextBillDate" not in shown


def test_an_amount_keeps_its_decimals_on_the_wire():
    assert b'"amountDue":{"unit":"EUR","value":121.00}' in write_json(customer_bill(to_document(a_bill(1)), LINKS))


def test_an_open_charge_shows_what_it_would_come_to_now():
    shown = sent(applied_billing_rate(to_document(a_charge(1)), LINKS))

    assert_conforms(shown, "TMF678", "AppliedCustomerBillingRate")
    assert shown["isBilled"] is False
    # 1241/6000 = 0.2068…
    assert shown["taxExcludedAmount"] == {"unit": "EUR", "value": Decimal("0.21")}
    assert shown["type"] == "usageCharge"
    assert "bill" not in shown
    assert "taxIncludedAmount" not in shown


def test_an_open_charge_that_counts_the_month_shows_what_its_tiers_make_of_it_now():
    tiers = ChargeTiers(
        model="graduated",
        tiers=(Tier(up_to=Decimal(100), amount=Decimal("0.10"), per=Decimal(1)), Tier(amount=Decimal("0.05"), per=Decimal(1))),
        counted_before=Decimal(50),
    )
    charge = a_charge(1, sums={"1": Decimal(0)}, tiers=tiers)
    shown = sent(applied_billing_rate(to_document(charge), LINKS))
    # 73 after 50: 50 at 0.10 and 23 at 0.05.
    assert shown["taxExcludedAmount"]["value"] == Decimal("6.15")
    rounded = charge.model_copy(update={"line_rounding": LineRounding(mode=RoundingMode.DOWN, decimals=1)})
    assert sent(applied_billing_rate(to_document(rounded), LINKS))["taxExcludedAmount"]["value"] == Decimal("6.10")


def test_a_discount_is_shown_as_a_credit():
    shown = sent(applied_billing_rate(to_document(a_charge(1, kind=ChargeKind.DISCOUNT, amount=Decimal("-0.50"))), LINKS))
    assert_conforms(shown, "TMF678", "AppliedCustomerBillingRate")
    assert (shown["type"], shown["taxExcludedAmount"]["value"]) == ("appliedBillingCredit", Decimal("-0.50"))


def test_a_billed_charge_refers_to_its_bill_and_its_taxes():
    shown = sent(applied_billing_rate(to_document(a_charge(1, state=ChargeState.BILLED)), LINKS))

    assert_conforms(shown, "TMF678", "AppliedCustomerBillingRate")
    assert shown["isBilled"] is True
    assert shown["bill"]["id"] == "bill-1"
    assert shown["taxIncludedAmount"]["value"] == Decimal("0.25")
    assert shown["appliedTax"][0]["taxAmount"]["value"] == Decimal("0.04")


def test_a_billed_charge_of_many_digits_is_taxed_exactly():
    charge = {**to_document(a_charge(1, state=ChargeState.BILLED)), "amount": Decimal("9" * 28 + ".99")}
    shown = applied_billing_rate(charge, LINKS)
    assert shown["taxIncludedAmount"]["value"] == Decimal("1" + "0" * 28 + ".03")


def test_a_charge_as_rating_first_stores_it_has_no_amount_nor_taxes():
    stored = to_document(a_charge(1))
    for absent in ("amount", "bill_id", "applied_taxes", "cut_id"):
        del stored[absent]

    assert applied_billing_rate(stored, LINKS)["taxExcludedAmount"]["value"] == Decimal("0.21")


def test_an_id_that_is_no_url_is_written_as_one():
    shown = applied_billing_rate(to_document(a_charge(1)), LINKS)

    assert shown["href"] == f"{BASE}/appliedCustomerBillingRate/acc-1%7Cproduct-1%7Cday%7C2026-03-01%7C1"


@pytest.mark.parametrize(
    ("patch", "current", "expected"),
    [
        ({"state": "onHold"}, "new", BillState.ON_HOLD),
        ({"state": "onHold"}, "onHold", None),
        ({"state": "settled"}, "settled", None),
        ({}, "new", None),
    ],
)
def test_a_patch_asks_for_a_state_or_for_nothing(patch, current, expected):
    assert requested_bill_state(patch, current) is expected


@pytest.mark.parametrize("patch", [{"state": "noSuchState"}, {"state": None}, {"state": 7}, {"state": "new", "billNo": "X"}, {"id": "x"}])
def test_a_patch_of_anything_else_is_refused(patch):
    with pytest.raises(BadRequest):
        requested_bill_state(patch, "new")


@pytest.mark.parametrize("state", ["settled", "partiallyPaid"])
def test_a_payment_state_cannot_be_asked_for(state):
    with pytest.raises(Conflict):
        requested_bill_state({"state": state}, "sent")


def test_an_event_repeats_its_id_when_its_cause_repeats():
    shown = customer_bill(to_document(a_bill(1)), LINKS)
    at = datetime(2026, 4, 1, tzinfo=UTC)
    event, again, other = (hub_event(CUSTOMER_BILL, "StateChange", shown, cause=cause, at=at) for cause in ("c1", "c1", "c2"))

    assert event == again
    assert event.id != other.id
    assert event.envelope["eventType"] == "CustomerBillStateChangeEvent"
    assert event.envelope["event"]["customerBill"]["id"] == event.resource_id == "acc-1.2026-03.1"
    assert {"eventId", "eventTime", "correlationId", "domain", "title", "description", "priority", "timeOcurred"} <= set(event.envelope)
    assert b'"value":121.00' in event.to_message()


ACCOUNT = {"_id": "acc-1", "resource": {"name": "Ada", "relatedParty": [{"id": "p1", "name": "Ada"}, {"id": "p2", "name": "Byron"}]}}


def test_a_bill_on_demand_may_name_a_party_of_its_account():
    request = new_on_demand_request({"relatedParty": {"id": "p2"}}, "r1", ACCOUNT, datetime(2026, 4, 1, tzinfo=UTC))
    assert request["related_party"] == {"id": "p2"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"relatedParty": {"id": "p3"}}, "relatedParty.id p3 is no party of billingAccount acc-1, which has p1, p2"),
        ({"relatedParty": {"name": "Ada"}}, "relatedParty.id None is no party"),
        ({"customerBill": {"id": "bill-1"}}, "customerBill of a customerBillOnDemand is its outcome"),
    ],
)
def test_a_bill_on_demand_of_somebody_else_or_with_its_outcome_is_refused(body, reason):
    with pytest.raises(BadRequest) as refused:
        new_on_demand_request(body, "r1", ACCOUNT, datetime(2026, 4, 1, tzinfo=UTC))
    assert refused.value.message.startswith(reason)

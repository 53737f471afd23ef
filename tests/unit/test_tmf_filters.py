"""Filters become MongoDB conditions through known attributes and operators only."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.mongo_filter import mongo_filter, mongo_sort
from services.tmf_gateway.domain.openapi import openapi_document
from services.tmf_gateway.domain.query import OPERATORS, parse_query
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.tmf637 import PRODUCT
from services.tmf_gateway.domain.tmf666 import BILLING_ACCOUNT
from services.tmf_gateway.domain.tmf678 import APPLIED_BILLING_RATE, CUSTOMER_BILL

LINKS = Links("https://api.example.com")
NOTHING = {"_id": {"$in": []}}
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("resource", "text", "expected"),
    [
        (CUSTOMER_BILL, "", {}),
        (CUSTOMER_BILL, "id=b1", {"_id": {"$eq": "b1"}}),
        (CUSTOMER_BILL, "state=new,onHold", {"state": {"$in": ["new", "onHold"]}}),
        (CUSTOMER_BILL, "state.ne=new,onHold", {"state": {"$nin": ["new", "onHold"]}}),
        (CUSTOMER_BILL, "billDate.gte=2026-03-01", {"bill_date": {"$gte": MARCH}}),
        (CUSTOMER_BILL, "billDate=2026-03-01", {"bill_date": {"$gte": MARCH, "$lt": SECOND}}),
        (CUSTOMER_BILL, "billDate.gt=2026-03-01", {"bill_date": {"$gte": SECOND}}),
        (CUSTOMER_BILL, "billDate.lte=2026-03-01", {"bill_date": {"$lt": SECOND}}),
        (CUSTOMER_BILL, "billDate.lt=2026-03-01", {"bill_date": {"$lt": MARCH}}),
        (CUSTOMER_BILL, "billDate.ne=2026-03-01", {"$nor": [{"bill_date": {"$gte": MARCH, "$lt": SECOND}}]}),
        (CUSTOMER_BILL, "relatedParty.role=customer", {"related_party_id": {"$ne": None}}),
        (CUSTOMER_BILL, "relatedParty.role=seller", NOTHING),
        (CUSTOMER_BILL, "billingAccount.@referredType.ne=BillingAccount", {"account_id": None}),
        (
            PRODUCT,
            "billingAccount.@referredType=BillingAccount",
            {"resource.billingAccount.@referredType": {"$in": ["BillingAccount", None]}},
        ),
        (CUSTOMER_BILL, "billDate=2026-03-01T02:00:00+02:00", {"bill_date": {"$eq": MARCH}}),
        (CUSTOMER_BILL, "billDate=2026-03-01T02:00:00%2B02:00", {"bill_date": {"$eq": MARCH}}),
        (CUSTOMER_BILL, 'billDate="2026-03-01T00:00:00Z"', {"bill_date": {"$eq": MARCH}}),
        (CUSTOMER_BILL, "amountDue.value%3E%3D12.30", {"amount_due": {"$gte": Decimal("12.30")}}),
        (CUSTOMER_BILL, "billingAccount.id=a1", {"account_id": {"$eq": "a1"}}),
        (CUSTOMER_BILL, "href=https://api.example.com/tmf-api/customerBillManagement/v4/customerBill/b%2B1", {"_id": {"$eq": "b+1"}}),
        (CUSTOMER_BILL, "href=https://elsewhere.example.com/b1", {"_id": {"$in": []}}),
        (CUSTOMER_BILL, "billNo.regex=^INV", {"bill_no": {"$regex": "^INV"}}),
        (CUSTOMER_BILL, "@type=CustomerBill", {}),
        (CUSTOMER_BILL, "@type=Other", NOTHING),
        (CUSTOMER_BILL, "@type.ne=Other", {}),
        (CUSTOMER_BILL, "state=new;billNo=7", {"$or": [{"state": {"$eq": "new"}}, {"bill_no": {"$eq": "7"}}]}),
        (APPLIED_BILLING_RATE, "isBilled=TRUE", {"state": {"$eq": "billed"}}),
        (APPLIED_BILLING_RATE, "isBilled=false", {"state": {"$in": ["open", "closed", "returned"]}}),
        (APPLIED_BILLING_RATE, "type=usageCharge", {"kind": {"$eq": "usage"}}),
        (APPLIED_BILLING_RATE, "type=noSuchType", {"kind": {"$in": []}}),
        (BILLING_ACCOUNT, "relatedParty.id=p1", {"resource.relatedParty.id": {"$eq": "p1"}}),
        (BILLING_ACCOUNT, "contact.contactMedium.preferred=True", {"resource.contact.contactMedium.preferred": {"$eq": True}}),
        (BILLING_ACCOUNT, "creditLimit.value.lt=5", {"resource.creditLimit.value": {"$lt": Decimal("5")}}),
        (
            PRODUCT,
            "productCharacteristic.value=+34600",
            {"resource.productCharacteristic.value": {"$in": [" 34600", "+34600", Decimal("34600")]}},
        ),
    ],
)
def test_a_filter_acts_on_the_path_of_the_document(resource, text, expected):
    assert mongo_filter(parse_query(text), resource, LINKS) == expected


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        (CUSTOMER_BILL, "noSuchAttribute=1"),
        (CUSTOMER_BILL, "bill_date=2026-03-01"),
        (CUSTOMER_BILL, "_id=1"),
        (CUSTOMER_BILL, "billingAccount=a1"),
        (CUSTOMER_BILL, "billDate=yesterday"),
        (CUSTOMER_BILL, "billDate.regex=2026"),
        (CUSTOMER_BILL, "amountDue.value=NaN"),
        (CUSTOMER_BILL, "amountDue.value=1e99999"),
        (CUSTOMER_BILL, "amountDue.value=ten"),
        (CUSTOMER_BILL, "href.gt=x"),
        (CUSTOMER_BILL, "billNo.regex=("),
        (CUSTOMER_BILL, "billNo.regex=" + "x" * 129),
        (CUSTOMER_BILL, "@type.gt=x"),
        (APPLIED_BILLING_RATE, "isBilled=perhaps"),
        (APPLIED_BILLING_RATE, "isBilled.gt=true"),
        (BILLING_ACCOUNT, "accountBalance.amount.value=1"),
    ],
)
def test_what_a_resource_does_not_have_or_cannot_compare_is_refused(resource, text):
    with pytest.raises(BadRequest):
        mongo_filter(parse_query(text), resource, LINKS)


def test_the_order_is_newest_first_and_always_total():
    assert mongo_sort(parse_query(""), CUSTOMER_BILL) == [("bill_date", -1), ("_id", 1)]
    assert mongo_sort(parse_query("sort=-state,billNo"), CUSTOMER_BILL) == [("state", -1), ("bill_no", 1), ("_id", 1)]
    assert mongo_sort(parse_query("sort=-id"), CUSTOMER_BILL) == [("_id", -1)]


def test_unbilled_sorts_before_billed():
    # The stored words, billed < closed < open, stand the other way round.
    assert mongo_sort(parse_query("sort=isBilled"), APPLIED_BILLING_RATE) == [("state", -1), ("_id", 1)]


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_ever_becomes_an_operator(name, value):
    try:
        condition = mongo_filter(parse_query(f"{name}={value}"), CUSTOMER_BILL, LINKS)
    except BadRequest:
        return
    known = {"$eq", "$in", "$nin", "$gt", "$gte", "$lt", "$lte", "$regex", "$or", "$and"}
    assert _operators(condition) <= known


def _operators(condition):
    found = set()
    for key, value in condition.items():
        found |= {key} if key.startswith("$") else set()
        for item in value if isinstance(value, list) else [value]:
            found |= _operators(item) if isinstance(item, dict) else set()
    return found


def test_the_description_names_the_filters_of_bills_and_none_that_would_be_read_as_an_operator():
    paths = openapi_document("http://gateway.example")["paths"]
    (bills,) = (operations["get"] for path, operations in paths.items() if path.endswith("/customerBill"))
    names = {parameter["name"] for parameter in bills["parameters"]}
    assert {"id", "state", "billDate", "billNo", "amountDue.value", "billingAccount.id", "relatedParty.id"} <= names
    assert "href" not in names
    assert not [name for name in names if name.rpartition(".")[2].startswith("@") or name.rpartition(".")[2] in OPERATORS]

"""Queries of subscriptions that can match, and those that never would."""

import pytest

from libs.hub_query import parse_hub_query
from services.tmf_gateway.domain.hub_catalogue import RAISED, check_query, event_types
from services.tmf_gateway.domain.refusal import BadRequest

APIS = tuple(RAISED)


@pytest.mark.parametrize("api", APIS)
def test_every_event_of_an_api_can_be_subscribed_there_and_nowhere_else(api):
    for event in event_types(api):
        check_query(api, parse_hub_query(f"eventType={event}"))
        for other in set(APIS) - {api}:
            with pytest.raises(BadRequest, match=event) as refused:
                check_query(other, parse_hub_query(f"eventType={event}"))
            assert all(known in refused.value.message for known in event_types(other))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "eventType=CustomerBillCreateEvent,CustomerBillOnDemandCreateEvent",
        "eventType=CustomerBillCreateEvent;event.customerBillOnDemand.state=done",
        "eventType=CustomerBillStateChangeEvent&event.customerBill.state=settled&fields=event.customerBill.billNo",
        "event.customerBill.amountDue.value=12.50",
        "event.customerBill.billDate=2026-03-01T00:00:00Z",
        "event.customerBill.billingAccount.id=a1,a2",
        "fields=event.customerBill.nothing",
    ],
)
def test_a_query_that_can_match_is_taken(query):
    check_query("TMF678", parse_hub_query(query))


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("eventType=CustomerBillDeleteEvent", "CustomerBillCreateEvent"),
        ("eventType=customerBillCreateEvent", "CustomerBillCreateEvent"),
        ("event.product.status=active", "customerBill"),
        ("event.customerBill.amountDue.value.gt=5", "equality"),
        ("event.customerBill.state.ne=new", "equality"),
        ("event.customerBill.billNo.regex=.*", "equality"),
        ("event.customerBill.colour=red", "billNo"),
        ("event.customerBill.billingAccount=a1", "billingAccount"),
        ("event.customerBill.state=paid", "settled"),
        ("event.customerBill.amountDue.value=much", "number"),
        ("event.customerBill.billDate=yesterday", "instant"),
        ("eventType=CustomerBillCreateEvent&event.customerBillOnDemand.state=done", "at once"),
    ],
)
def test_a_query_that_can_never_match_is_refused_with_what_there_is(query, told):
    with pytest.raises(BadRequest) as refused:
        check_query("TMF678", parse_hub_query(query))
    assert told in refused.value.message

"""Which events a hub query wants, what it selects of them, and what it refuses."""

from decimal import Decimal

import pytest

from libs.hub_query import InvalidHubQuery, parse_hub_query

ENVELOPE = {
    "eventId": "e1",
    "eventType": "CustomerBillStateChangeEvent",
    "event": {
        "customerBill": {
            "id": "b1",
            "href": "http://x/customerBill/b1",
            "state": "settled",
            "billNo": "A-1",
            "isFinal": True,
            "amountDue": {"unit": "EUR", "value": Decimal("12.1")},
            "billDate": "2026-03-01T00:00:00Z",
            "relatedParty": [{"id": "p1", "role": "payer"}, {"id": "p2", "role": "owner"}],
        }
    },
}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "eventType=CustomerBillStateChangeEvent",
        "eventType = CustomerBillStateChangeEvent",
        "?eventType=CustomerBillStateChangeEvent",
        "eventType=CustomerBillCreateEvent;eventType=CustomerBillStateChangeEvent",
        "eventType=CustomerBillCreateEvent,CustomerBillStateChangeEvent",
        "eventType=CustomerBillStateChangeEvent&event.customerBill.state=settled",
        "event.customerBill.state=new,settled",
        "event.customerBill.state=new;event.customerBill.billNo=A-1",
        "event.customerBill.billNo=A%2D1",
        "event.customerBill.isFinal=TRUE",
        "event.customerBill.amountDue.value=12.10",
        "event.customerBill.billDate=2026-03-01T01:00:00+01:00",
        "event.customerBill.relatedParty.role=owner",
    ],
)
def test_a_query_that_holds_wants_the_event(query):
    assert parse_hub_query(query).wants("CustomerBillStateChangeEvent", ENVELOPE)


@pytest.mark.parametrize(
    "query",
    [
        "eventType=CustomerBillCreateEvent",
        "eventType=customerBillStateChangeEvent",
        "eventType=CustomerBillStateChangeEvent&event.customerBill.state=new",
        "event.customerBill.state=Settled",
        "event.customerBill.amountDue.value=twelve",
        "event.customerBill.relatedParty.role=user",
        "event.customerBill.unheardOf=1",
        "event.billingAccount.id=b1",
    ],
)
def test_a_query_that_fails_does_not_want_the_event(query):
    assert not parse_hub_query(query).wants("CustomerBillStateChangeEvent", ENVELOPE)


@pytest.mark.parametrize(
    ("query", "remedy"),
    [
        ("eventType=A&eventType=B", "commas"),
        ("eventType=A;eventType=B&event.customerBill.state=new", "cannot be mixed"),
        ("eventType", "attribute=value"),
        ("eventType=", "attribute=value"),
        ("eventType=A,,B", "empty value"),
        ("state=new", "event.<resource>.<attribute>"),
        ("event.customerBill=new", "event.<resource>.<attribute>"),
        ("event..state=new", "event.<resource>.<attribute>"),
        ("fields=customerBill.id", "event.<resource>.<attribute>"),
        ("fields=event.customerBill.id&fields=event.customerBill.state", "once"),
        ("eventType=A;fields=event.customerBill.id", "alternatives"),
    ],
)
def test_an_invalid_query_is_refused_with_its_remedy(query, remedy):
    with pytest.raises(InvalidHubQuery, match=remedy):
        parse_hub_query(query)


def test_fields_select_attributes_and_always_name_the_resource():
    selected = parse_hub_query("fields=event.customerBill.state,event.customerBill.relatedParty.role").select(ENVELOPE)

    assert selected["eventId"] == "e1"
    assert selected["event"] == {
        "customerBill": {
            "id": "b1",
            "href": "http://x/customerBill/b1",
            "state": "settled",
            "relatedParty": [{"role": "payer"}, {"role": "owner"}],
        }
    }


def test_fields_prune_the_payload_of_account_events_too():
    account = {"billingAccount": {"id": "a", "name": "n"}}
    envelope = {"eventType": "X", "event": account, "payload": account}

    selected = parse_hub_query("fields=event.billingAccount.id").select(envelope)

    assert selected["payload"] == selected["event"] == {"billingAccount": {"id": "a"}}


def test_fields_of_the_envelope_alone_leave_the_id_of_the_resource():
    selected = parse_hub_query("fields=eventType,eventId").select(ENVELOPE)

    assert selected["event"] == {"customerBill": {"id": "b1", "href": "http://x/customerBill/b1"}}


@pytest.mark.parametrize("query", ["fields=event", "fields=event.customerBill", ""])
def test_a_whole_resource_stays_whole(query):
    assert parse_hub_query(query).select(ENVELOPE) == ENVELOPE

"""Billing accounts: what a client may send, what becomes of it, and what the other services hear."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.contracts import AccountState, PostalAddress
from libs.exact_json import read_json, write_json
from services.tmf_gateway.domain.changes import change_event
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.tmf666 import (
    BILLING_ACCOUNT,
    AccountDefaults,
    account_balances,
    account_fact,
    billing_account,
    new_account,
    patched_account,
)
from tests.gateway_client import assert_conforms

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 3, 2, tzinfo=UTC)
LINKS = Links("https://api.example.com")
DEFAULTS = AccountDefaults("EUR", "UTC", "standard")
PARTY = {"id": "p1", "name": "Ada", "@referredType": "Individual"}
BODY = {"name": "Ada", "relatedParty": [PARTY]}
POSTAL = {"street1": "Main 1", "street2": "2nd floor", "city": "London", "postCode": "N1", "country": "GB"}
CONTACTS = [
    {"contactMedium": [{"mediumType": "email", "characteristic": {"emailAddress": "ada@example.com"}}]},
    {"contactMedium": [{"mediumType": "postalAddress", "characteristic": POSTAL}]},
]


def account(**attributes):
    return new_account({**BODY, **attributes}, "a1", DEFAULTS, NOW)


def test_an_account_gets_what_it_does_not_say():
    shown = read_json(write_json(billing_account(account(), LINKS)))

    assert_conforms(shown, "TMF666", "BillingAccount")
    assert shown["href"] == "https://api.example.com/tmf-api/accountManagement/v4/billingAccount/a1"
    assert (shown["currency"], shown["timeZone"], shown["taxCategory"], shown["state"]) == ("EUR", "UTC", "standard", "active")
    assert account_fact(account()).cycle == "monthly"


def test_the_other_services_hear_where_the_bill_goes():
    fact = account_fact(account(contact=CONTACTS, taxExemption=[{"issuingJurisdiction": "GB", "validFor": {}}]))

    assert fact.address == PostalAddress(street="Main 1, 2nd floor", city="London", post_code="N1", country="GB")
    assert fact.email == "ada@example.com"
    assert fact.tax_exempt
    assert (fact.related_party_id, fact.related_party_name) == ("p1", "Ada")


def test_an_account_may_begin_to_be_billed_later_than_its_products_began():
    opened = account(billingStartDate="2026-07-01T00:00:00+02:00")
    assert account_fact(opened).billed_from == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert account_fact(account()).billed_from is None
    moved = patched_account(opened, {"billingStartDate": "2026-08-01T00:00:00+02:00"}, LATER)
    assert account_fact(moved).billed_from == datetime(2026, 7, 31, 22, tzinfo=UTC)
    with pytest.raises(BadRequest, match="billingStartDate"):
        account(billingStartDate="soon")


def test_references_are_completed_so_that_they_fit_the_schema():
    structure = {"cycleSpecification": {"id": "weekly"}, "format": {"name": "PDF"}, "presentationMedia": [{"id": "mail"}]}
    stored = account(billStructure=structure, contact=CONTACTS)

    assert_conforms(read_json(write_json(billing_account(stored, LINKS))), "TMF666", "BillingAccount")
    assert account_fact(stored).cycle == "weekly"


@pytest.mark.parametrize("spelling", ["Suspended", "SUSPENDED", "suspended"])
def test_a_state_is_accepted_in_any_spelling(spelling):
    assert account(state=spelling)["resource"]["state"] == AccountState.SUSPENDED


@pytest.mark.parametrize(
    "attributes",
    [
        {"name": None},
        {"name": " "},
        {"name": 7},
        {"name": "x" * 5000},
        {"relatedParty": []},
        {"relatedParty": [{"id": "p1", "name": "Ada"}]},
        {"relatedParty": [{"id": "p1", "@referredType": "Individual"}]},
        {"relatedParty": PARTY},
        {"currency": "EURO"},
        {"currency": "XAU"},
        {"currency": 7},
        {"timeZone": "Mars/Olympus"},
        {"timeZone": "../etc/passwd"},
        {"state": "unheard of"},
        {"taxCategory": ""},
        {"accountBalance": []},
        {"accountBalance": [{"balanceType": "x"}]},
        {"billStructure": {"cycleSpecification": {}}},
        {"billStructure": "monthly"},
        {"contact": [{"validFor": {"startDateTime": "soon"}}]},
        {"creditLimit": {"unit": "EUR", "value": "12"}},
        {"creditLimit": {"unit": "EUR", "value": Decimal("-0.01")}},
    ],
)
def test_what_does_not_fit_is_refused(attributes):
    with pytest.raises(BadRequest):
        account(**attributes)


def test_identity_in_the_body_is_ignored():
    stored = account(id="mine", href="http://elsewhere", lastModified="2020-01-01T00:00:00Z")

    assert billing_account(stored, LINKS)["id"] == "a1"
    assert billing_account(stored, LINKS)["lastModified"] == NOW


def test_a_patch_is_a_new_revision_that_keeps_the_rest():
    stored = account(description="old", contact=CONTACTS)
    patched = patched_account(stored, {"name": "Ada Lovelace", "description": None}, LATER)

    assert patched["revision"] == 2
    assert patched["resource"]["name"] == "Ada Lovelace"
    assert "description" not in patched["resource"]
    assert patched["resource"]["contact"] == stored["resource"]["contact"]
    assert account_fact(patched).changed_at == LATER


def test_a_patch_that_changes_nothing_is_no_revision():
    assert patched_account(account(), {"state": "ACTIVE", "name": "Ada"}, LATER)["revision"] == 1


@pytest.mark.parametrize(
    "patch", [{"accountBalance": []}, {"currency": "USD"}, {"timeZone": "Europe/Madrid"}, {"name": None}, {"relatedParty": []}]
)
def test_what_cannot_be_patched_is_refused_with_a_reason(patch):
    with pytest.raises(BadRequest):
        patched_account(account(), patch, LATER)


@pytest.mark.parametrize(
    ("state", "next_state"), [("closed", "active"), ("closed", "suspended"), ("active", "defined"), ("suspended", "defined")]
)
def test_an_illegal_change_of_state_is_a_conflict(state, next_state):
    with pytest.raises(Conflict):
        patched_account(account(state=state), {"state": next_state}, LATER)


@pytest.mark.parametrize(
    ("state", "next_state"),
    [("active", "closed"), ("active", "suspended"), ("suspended", "active"), ("defined", "active"), ("active", "pendingClosed")],
)
def test_a_legal_change_of_state_happens(state, next_state):
    assert patched_account(account(state=state), {"state": next_state}, LATER)["resource"]["state"] == next_state


@pytest.mark.parametrize(
    ("patch", "event_type", "field_path"),
    [
        ({"state": "suspended", "name": "Other"}, "BillingAccountStateChangeEvent", None),
        ({"name": "Other", "description": "new"}, "BillingAccountAttributeValueChangeEvent", "description,name"),
    ],
)
def test_a_change_raises_one_event(patch, event_type, field_path):
    before = account()
    event = change_event(BILLING_ACCOUNT, patched_account(before, patch, LATER), before, LINKS, state="state")

    assert event.event_type == event_type
    assert event.envelope.get("fieldPath") == field_path
    assert event.envelope["event"] == event.envelope["payload"]


def test_a_new_account_raises_a_create_event():
    assert change_event(BILLING_ACCOUNT, account(), None, LINKS, state="state").event_type == "BillingAccountCreateEvent"


def test_the_balance_is_shown_per_currency():
    stored = {**account(), "balances": account_balances(account(), {"USD": Decimal("1.50"), "EUR": Decimal("0.00")})}
    shown = read_json(write_json(billing_account(stored, LINKS)))

    assert_conforms(shown, "TMF666", "BillingAccount")
    assert [balance["amount"] for balance in shown["accountBalance"]] == [
        {"unit": "EUR", "value": Decimal("0.00")},
        {"unit": "USD", "value": Decimal("1.50")},
    ]
    assert shown["accountBalance"][0]["balanceType"] == "receivableBalance"


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"taxCategory": ""}, "taxCategory: "),
        ({"billStructure": {"cycleSpecification": {"name": "x" * 300}}}, "billStructure.cycleSpecification.name: "),
        ({"relatedParty": [{**PARTY, "id": "x" * 5000}]}, "relatedParty"),
    ],
)
def test_a_refusal_names_what_the_client_sent(attributes, named):
    with pytest.raises(BadRequest) as refused:
        account(**attributes)
    assert refused.value.message.startswith(named)

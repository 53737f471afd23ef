"""TMF666 Account Management v4: billing accounts.

The document keeps the TMF resource as the client sent it (checked, completed with defaults, date-times as instants) under
`resource`; AccountChanged is what the other services need of it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from libs.billing import TaxTable
from libs.contracts import AccountChanged, AccountState, PostalAddress
from libs.money import UnknownCurrency, minor_unit_decimals
from libs.periods import UnknownTimeZone, time_zone
from services.tmf_gateway.domain.links import TMF666, Links
from services.tmf_gateway.domain.merge_patch import merge
from services.tmf_gateway.domain.patching import set_by_server
from services.tmf_gateway.domain.refusal import BadRequest, Conflict, faults_in_words_of
from services.tmf_gateway.domain.resource import Document, Kind, Representation, Resource, Stored
from services.tmf_gateway.domain.schema import Schema
from services.tmf_gateway.domain.tax_categories import check_tax_category
from services.tmf_gateway.specifications import swagger

# What billing needs of an account and TMF666 has no attribute for.
EXTENSIONS = {
    "currency": {"type": "string"},
    "timeZone": {"type": "string"},
    "taxCategory": {"type": "string"},
    "billingStartDate": {"type": "string", "format": "date-time"},
}
SCHEMA = Schema(
    swagger("TMF666")["definitions"],
    extensions={"BillingAccount": EXTENSIONS, "BillingAccount_Create": EXTENSIONS, "BillingAccount_Update": EXTENSIONS},
)
BALANCE_IS_DERIVED = "accountBalance is computed from the ledger's entries (bills, payments, credits) and cannot be set"
_DEFAULT_CYCLE = "monthly"
# Where clients say what AccountChanged has under another name.
_TMF_NAMES = {
    "time_zone": "timeZone",
    "cycle": "billStructure.cycleSpecification.name",
    "tax_category": "taxCategory",
    "address": "contact.contactMedium.characteristic",
    "email": "contact.contactMedium.characteristic.emailAddress",
    "related_party_id": "relatedParty.id",
    "related_party_name": "relatedParty.name",
}
_SERVER_OWNED = frozenset(("id", "href", "lastModified"))
_TYPE = "BillingAccount"
_STATES = {state.lower(): state for state in AccountState}
_NEXT_STATES: Mapping[AccountState, frozenset[AccountState]] = {
    AccountState.DEFINED: frozenset((AccountState.ACTIVE, AccountState.PENDING_CLOSED, AccountState.CLOSED)),
    AccountState.ACTIVE: frozenset((AccountState.SUSPENDED, AccountState.PENDING_CLOSED, AccountState.CLOSED)),
    AccountState.SUSPENDED: frozenset((AccountState.ACTIVE, AccountState.PENDING_CLOSED, AccountState.CLOSED)),
    AccountState.PENDING_CLOSED: frozenset((AccountState.ACTIVE, AccountState.CLOSED)),
    AccountState.CLOSED: frozenset(),
}


@dataclass(frozen=True)
class AccountDefaults:
    """What an account gets that does not say otherwise."""

    currency: str
    time_zone: str
    tax_category: str


def new_account(body: Mapping[str, Any], id: str, defaults: AccountDefaults, now: datetime) -> dict[str, Any]:
    """The document of a new billing account. Raises BadRequest."""
    if body.get("accountBalance") is not None:
        raise BadRequest(BALANCE_IS_DERIVED)
    resource = {
        "currency": defaults.currency,
        "timeZone": defaults.time_zone,
        "taxCategory": defaults.tax_category,
        "state": AccountState.ACTIVE,
        **SCHEMA.conform("BillingAccount_Create", _completed(body, now)),
    }
    return _checked({"_id": id, "revision": 1, "created_at": now, "changed_at": now, "resource": _own(resource)})


def patched_account(account: Document, patch: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The account's document after a merge patch; the same document when nothing changes. Raises BadRequest or Conflict."""
    if "accountBalance" in patch:
        raise BadRequest(BALANCE_IS_DERIVED)
    for name in ("currency", "timeZone"):
        if name in patch and patch[name] != account["resource"][name]:
            raise BadRequest(f"{name} of a billingAccount cannot be changed: its charges are in it")
    before = account["resource"]
    conformed = SCHEMA.conform("BillingAccount_Create", _completed(merge(before, patch), now))
    resource = {"taxCategory": before["taxCategory"], "state": before["state"], **_own(conformed)}
    checked = _checked({**account, "resource": resource})
    if checked["resource"] == before:
        return dict(account)
    state, next_state = AccountState(before["state"]), AccountState(checked["resource"]["state"])
    if state is not next_state and next_state not in _NEXT_STATES[state]:
        raise Conflict(f"a billingAccount cannot go from {state} to {next_state}")
    return {**checked, "revision": account["revision"] + 1, "changed_at": now}


def check_taxable(account: Document, before: Document | None, table: TaxTable) -> None:
    """Raise BadRequest where an account's taxCategory has no tax at its address; what a PATCH leaves alone is not looked at."""
    fact = account_fact(account)
    earlier = account_fact(before) if before is not None else None
    if earlier is None or (earlier.tax_category, earlier.address) != (fact.tax_category, fact.address):
        check_tax_category(table, fact.tax_category, fact.address)


def account_fact(account: Document) -> AccountChanged:
    """What the other services need to know of an account. Raises pydantic.ValidationError."""
    resource = account["resource"]
    party = resource["relatedParty"][0]
    media = list(_media(resource))
    return AccountChanged(
        id=account["_id"],
        revision=account["revision"],
        name=resource["name"],
        state=resource["state"],
        currency=resource["currency"],
        time_zone=resource["timeZone"],
        cycle=resource.get("billStructure", {}).get("cycleSpecification", {}).get("name", _DEFAULT_CYCLE),
        tax_category=resource["taxCategory"],
        tax_exempt=bool(resource.get("taxExemption")),
        address=_address(media),
        email=next((medium["emailAddress"] for medium in media if medium.get("emailAddress")), None),
        related_party_id=party["id"],
        related_party_name=party["name"],
        billed_from=resource.get("billingStartDate"),
        changed_at=account["changed_at"],
    )


def withdrawn(account: Document) -> dict[str, Any]:
    """Return an account as the other services know it once it is deleted."""
    return {**account, "resource": {**account["resource"], "state": AccountState.CLOSED}}


def billing_account(account: Document, links: Links) -> Representation:
    """TMF666 billingAccount; `balances`, when read, are the ledger's."""
    representation = {
        "id": account["_id"],
        "href": links.account(account["_id"]),
        "@type": _TYPE,
        **account["resource"],
        "lastModified": account["changed_at"],
    }
    if account.get("balances"):
        representation["accountBalance"] = account["balances"]
    return representation


def account_balances(account: Document, owed: Mapping[str, Decimal]) -> list[Representation]:
    """TMF666 accountBalance: what the account owes by currency, as the ledger's entries say."""
    return [
        {
            "balanceType": "receivableBalance",
            "amount": {"unit": currency, "value": amount},
            "validFor": {"startDateTime": account["created_at"]},
            "@type": "AccountBalance",
        }
        for currency, amount in sorted(owed.items())
    ]


def _locate(path: str) -> Stored | None:
    if path in ("id", "href"):
        return Stored("_id", Kind.HREF if path == "href" else Kind.TEXT)
    if path == "lastModified":
        return Stored("changed_at", Kind.INSTANT)
    kind = None if path.startswith("accountBalance") else SCHEMA.kind("BillingAccount", path)
    return Stored(f"resource.{path}", kind) if kind else None


BILLING_ACCOUNT = Resource(
    "TMF666",
    TMF666,
    "billingAccount",
    _TYPE,
    SCHEMA.attributes("BillingAccount"),
    _locate,
    billing_account,
    newest_first=(("created_at", -1), ("_id", -1)),
    schema=SCHEMA,
    unread=("outbox",),
    type_path="resource.@type",
    read_only=set_by_server(_SERVER_OWNED, accountBalance=BALANCE_IS_DERIVED),
)


def _own(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in _SERVER_OWNED and (name, value) != ("@type", _TYPE)}


def _completed(body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """What the schema demands of parts and a client need not repeat: isRef and name of references, validity of contacts."""
    completed = dict(body)
    structure = body.get("billStructure")
    if isinstance(structure, Mapping):
        completed["billStructure"] = {name: _completed_references(value) for name, value in structure.items()}
    contacts = body.get("contact")
    if isinstance(contacts, list):
        completed["contact"] = [
            {"contactType": "billing", "validFor": {"startDateTime": now}, **contact} if isinstance(contact, Mapping) else contact
            for contact in contacts
        ]
    return completed


def _completed_references(value: Any) -> Any:
    if isinstance(value, list):
        return [_completed_references(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    name = {"name": value["id"]} if "id" in value else {}
    return {"isRef": True, **name, **value}


def _checked(account: dict[str, Any]) -> dict[str, Any]:
    resource = account["resource"]
    if not resource["name"].strip():
        raise BadRequest("name must not be blank")
    for party in resource["relatedParty"]:
        # TMF666 demands a name too where other APIs do not.
        if not party["id"] or not party["name"]:
            raise BadRequest("every relatedParty needs id, name and @referredType")
    spelling = re.sub(r"[^a-z]", "", resource["state"].lower())
    if spelling not in _STATES:
        raise BadRequest(f"state must be one of {', '.join(AccountState)}")
    resource["state"] = _STATES[spelling]
    try:
        minor_unit_decimals(resource["currency"])
        time_zone(resource["timeZone"])
        account_fact(account)
    except (UnknownCurrency, UnknownTimeZone) as error:
        raise BadRequest(str(error)) from None
    except ValidationError as error:
        raise BadRequest(faults_in_words_of(error, _TMF_NAMES)) from None
    _check_credit_limit(resource)
    return account


def _check_credit_limit(resource: Mapping[str, Any]) -> None:
    value = resource.get("creditLimit", {}).get("value")
    if value is not None and value < 0:
        raise BadRequest("creditLimit.value must not be negative: 0 gives no credit")


def _media(resource: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for contact in resource.get("contact", ()):
        for medium in contact.get("contactMedium", ()):
            yield medium.get("characteristic", {})


def _address(media: Iterable[Mapping[str, Any]]) -> PostalAddress:
    postal = next((medium for medium in media if any(medium.get(part) for part in ("street1", "city", "postCode", "country"))), {})
    return PostalAddress(
        street=", ".join(filter(None, (postal.get("street1"), postal.get("street2")))),
        city=postal.get("city", ""),
        post_code=postal.get("postCode", ""),
        state_or_province=postal.get("stateOrProvince", ""),
        country=postal.get("country", ""),
    )

"""TMF678 Customer Bill Management v4: bills, charges and on-demand requests in TM Forum's words.

The documents are those of libs.contracts: BillIssued (customerBill), Charge (appliedCustomerBillingRate) and the
gateway's own on-demand request.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from libs.contracts import (
    BillPreviewRequested,
    BillState,
    Charge,
    ChargeKind,
    ChargeState,
    OnDemandBillCompleted,
    OnDemandBillRequested,
    OnDemandState,
)
from libs.money import sum_exactly
from libs.pricing.charge_amount import line_amount
from services.tmf_gateway.domain.links import TMF678, Links
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.resource import Document, Kind, Representation, Resource, Stored, referred
from services.tmf_gateway.domain.schema import Schema
from services.tmf_gateway.specifications import swagger

SCHEMA = Schema(
    swagger("TMF678")["definitions"],
    extensions={"CustomerBillOnDemand": {"stateReason": {"type": "string"}}},
)
RATE_TYPES = {
    ChargeKind.USAGE: "usageCharge",
    ChargeKind.RECURRING: "recurringCharge",
    ChargeKind.ONE_TIME: "oneTimeCharge",
    ChargeKind.DISCOUNT: "appliedBillingCredit",
    ChargeKind.CAP: "appliedBillingCredit",
    ChargeKind.COMMITMENT: "appliedBillingCharge",
    ChargeKind.ADJUSTMENT: "appliedBillingCharge",
}
# Set by payments, not by people.
PAYMENT_STATES = (BillState.PARTIALLY_PAID, BillState.SETTLED)
_ATTACHMENT_TYPE = "bill"
_PARTY_ROLE = "customer"
_TYPE_NAMES = ("@type", "@baseType", "@schemaLocation")


def _money(path: str) -> dict[str, Stored]:
    return {"value": Stored(path, Kind.NUMBER), "unit": Stored("currency")}


def _flat(attributes: Mapping[str, Stored | Mapping[str, Stored]]) -> dict[str, Stored]:
    flat: dict[str, Stored] = {}
    for name, stored in attributes.items():
        flat.update({name: stored} if isinstance(stored, Stored) else {f"{name}.{member}": inner for member, inner in stored.items()})
    return flat


_ACCOUNT = {
    "id": Stored("account_id"),
    "href": Stored("account_id", Kind.HREF),
    "@referredType": referred("account_id", "BillingAccount"),
}
_BILL = {"id": Stored("bill_id"), "href": Stored("bill_id", Kind.HREF), "@referredType": referred("bill_id", "CustomerBill")}

_BILL_ATTRIBUTES = _flat(
    {
        "id": Stored("_id"),
        "href": Stored("_id", Kind.HREF),
        "billDate": Stored("bill_date", Kind.INSTANT),
        "billNo": Stored("bill_no"),
        "category": Stored("category"),
        "lastUpdate": Stored("last_update_at", Kind.INSTANT),
        "nextBillDate": Stored("next_bill_at", Kind.INSTANT),
        "paymentDueDate": Stored("payment_due_at", Kind.INSTANT),
        "runType": Stored("run_type"),
        "state": Stored("state"),
        "amountDue": _money("amount_due"),
        "remainingAmount": _money("remaining_amount"),
        "taxExcludedAmount": _money("tax_excluded_amount"),
        "taxIncludedAmount": _money("tax_included_amount"),
        "billDocument": {
            "id": Stored("documents.id"),
            "name": Stored("documents.name"),
            "mimeType": Stored("documents.mime_type"),
            "attachmentType": Stored("documents.id", Kind.CONSTANT, shown=_ATTACHMENT_TYPE),
            "url": Stored("documents.id", Kind.HREF),
        },
        "billingAccount": {"name": Stored("account_name"), **_ACCOUNT},
        "billingPeriod": {"startDateTime": Stored("period.start", Kind.INSTANT), "endDateTime": Stored("period.end", Kind.INSTANT)},
        "relatedParty": {
            "id": Stored("related_party_id"),
            "name": Stored("related_party_name"),
            "role": Stored("related_party_id", Kind.CONSTANT, shown=_PARTY_ROLE),
        },
        "taxItem": {"taxCategory": Stored("tax_items.category"), "taxRate": Stored("tax_items.rate", Kind.NUMBER)},
        "taxItem.taxAmount": {"value": Stored("tax_items.amount", Kind.NUMBER), "unit": Stored("currency")},
    }
)
_RATE_ATTRIBUTES = _flat(
    {
        "id": Stored("_id"),
        "href": Stored("_id", Kind.HREF),
        "date": Stored("opened_at", Kind.INSTANT),
        "description": Stored("description"),
        "name": Stored("price_id"),
        "isBilled": Stored(
            "state",
            Kind.BOOLEAN,
            words={"true": (ChargeState.BILLED,), "false": (ChargeState.OPEN, ChargeState.CLOSED, ChargeState.RETURNED)},
            reversed=True,
        ),
        "type": Stored(
            "kind", words={word: tuple(kind for kind in RATE_TYPES if RATE_TYPES[kind] == word) for word in RATE_TYPES.values()}
        ),
        "appliedTax": {"taxCategory": Stored("applied_taxes.category"), "taxRate": Stored("applied_taxes.rate", Kind.NUMBER)},
        "bill": _BILL,
        "billingAccount": _ACCOUNT,
        "periodCoverage": {"startDateTime": Stored("period.start", Kind.INSTANT), "endDateTime": Stored("period.end", Kind.INSTANT)},
        "product": {
            "id": Stored("product_id"),
            "name": Stored("product_name"),
            "href": Stored("product_id", Kind.HREF),
            "@referredType": referred("product_id", "Product"),
        },
        # Its value is computed as long as the charge is open, and where the price includes tax: nothing is stored to compare with.
        "taxExcludedAmount.unit": Stored("currency"),
    }
)
_ON_DEMAND_ATTRIBUTES = _flat(
    {
        "id": Stored("_id"),
        "href": Stored("_id", Kind.HREF),
        "name": Stored("name"),
        "description": Stored("description"),
        "lastUpdate": Stored("last_update_at", Kind.INSTANT),
        "state": Stored("state"),
        "stateReason": Stored("reason"),
        "billingAccount": {"name": Stored("account_name"), **_ACCOUNT},
        "customerBill": _BILL,
        "relatedParty": {"id": Stored("related_party.id"), "name": Stored("related_party.name"), "role": Stored("related_party.role")},
    }
)


def customer_bill(bill: Document, links: Links) -> Representation:
    """TMF678 customerBill."""

    def money(amount: Decimal) -> Representation:
        return {"unit": bill["currency"], "value": amount}

    return _present(
        {
            "id": bill["_id"],
            "href": links.bill(bill["_id"]),
            "billDate": bill["bill_date"],
            "billNo": bill["bill_no"],
            "category": bill["category"],
            "lastUpdate": bill["last_update_at"],
            "nextBillDate": bill.get("next_bill_at"),
            "paymentDueDate": bill["payment_due_at"],
            "runType": bill["run_type"],
            "state": bill["state"],
            "amountDue": money(bill["amount_due"]),
            "remainingAmount": money(bill["remaining_amount"]),
            "taxExcludedAmount": money(bill["tax_excluded_amount"]),
            "taxIncludedAmount": money(bill["tax_included_amount"]),
            "taxItem": [_tax(tax, bill["currency"]) for tax in bill["tax_items"]],
            "billDocument": [
                {
                    "id": document["id"],
                    "name": document["name"],
                    "mimeType": document["mime_type"],
                    "attachmentType": _ATTACHMENT_TYPE,
                    "url": links.bill_document(bill["_id"], document["id"]),
                }
                for document in bill["documents"]
            ],
            "billingAccount": _account_ref(bill["account_id"], links, bill["account_name"]),
            "billingPeriod": _period(bill["period"]),
            "relatedParty": _related_parties(bill),
            "@type": "CustomerBill",
        }
    )


def applied_billing_rate(charge: Document, links: Links) -> Representation:
    """TMF678 appliedCustomerBillingRate; an open charge shows what it would come to if it were cut now."""
    currency = charge["currency"]
    amount = charge.get("amount")
    if amount is None:
        amount = line_amount(Charge.model_validate({**charge, "id": charge["_id"]}))
    taxes = charge.get("applied_taxes", ())
    tax_total = sum_exactly(tax["amount"] for tax in taxes)
    if charge.get("is_tax_included"):
        amount = sum_exactly([amount, -tax_total])
    tax_included = sum_exactly([amount, tax_total])
    bill_id = charge.get("bill_id")
    is_billed = charge["state"] == ChargeState.BILLED
    return _present(
        {
            "id": charge["_id"],
            "href": links.to(TMF678, "appliedCustomerBillingRate", charge["_id"]),
            "date": charge.get("opened_at"),
            "name": charge["price_id"],
            "description": charge["description"],
            "type": RATE_TYPES[charge["kind"]],
            "isBilled": is_billed,
            "bill": {"id": bill_id, "href": links.bill(bill_id), "@referredType": "CustomerBill"} if bill_id else None,
            "billingAccount": _account_ref(charge["account_id"], links),
            "product": {
                "id": charge["product_id"],
                "href": links.product(charge["product_id"]),
                "name": charge["product_name"],
                "@referredType": "Product",
            },
            "periodCoverage": _period(charge["period"]),
            "taxExcludedAmount": {"unit": currency, "value": amount},
            "taxIncludedAmount": {"unit": currency, "value": tax_included} if is_billed else None,
            "appliedTax": [_tax(tax, currency) for tax in taxes] or None,
            "characteristic": list(_rate_characteristics(charge)),
            "@type": "AppliedCustomerBillingRate",
        }
    )


def bill_on_demand(request: Document, links: Links) -> Representation:
    """TMF678 customerBillOnDemand, with the reason of a request that ended without a bill as an extension."""
    bill_id = request.get("bill_id")
    return _present(
        {
            "id": request["_id"],
            "href": links.to(TMF678, "customerBillOnDemand", request["_id"]),
            "name": request.get("name"),
            "description": request.get("description"),
            "lastUpdate": request["last_update_at"],
            "state": request["state"],
            "stateReason": request.get("reason"),
            "billingAccount": _account_ref(request["account_id"], links, request.get("account_name")),
            "customerBill": {"id": bill_id, "href": links.bill(bill_id), "@referredType": "CustomerBill"} if bill_id else None,
            "relatedParty": request.get("related_party"),
            "@type": "CustomerBillOnDemand",
            **request.get("type_names", {}),
        }
    )


def _resource(name: str, definition: str, stored: Mapping[str, Stored], **more: Any) -> Resource:
    return Resource("TMF678", TMF678, name, definition, SCHEMA.attributes(definition), stored.get, schema=SCHEMA, **more)


CUSTOMER_BILL = _resource(
    "customerBill",
    "CustomerBill",
    _BILL_ATTRIBUTES,
    render=customer_bill,
    newest_first=(("bill_date", -1), ("_id", 1)),
    # By far the largest part of a bill's document; TMF678 shows lines as applied billing rates.
    unread=("lines", "address"),
)
APPLIED_BILLING_RATE = _resource(
    "appliedCustomerBillingRate",
    "AppliedCustomerBillingRate",
    _RATE_ATTRIBUTES,
    render=applied_billing_rate,
    newest_first=(("opened_at", -1), ("_id", -1)),
)
BILL_ON_DEMAND = _resource(
    "customerBillOnDemand",
    "CustomerBillOnDemand",
    _ON_DEMAND_ATTRIBUTES,
    render=bill_on_demand,
    newest_first=(("requested_at", -1), ("_id", -1)),
    type_path="type_names.@type",
)


def requested_bill_state(patch: Mapping[str, Any], current: str) -> BillState | None:
    """The state that a PATCH of a bill asks for; None when it changes nothing. Raises BadRequest or Conflict."""
    unpatchable = sorted(set(patch) - {"state"})
    if unpatchable:
        raise BadRequest(f"of a customerBill only state can be changed, not {', '.join(unpatchable)}")
    if "state" not in patch:
        return None
    try:
        state = BillState(patch["state"])
    except ValueError:
        raise BadRequest(f"state must be one of {', '.join(BillState)}") from None
    if state == current:
        return None
    if state in PAYMENT_STATES:
        raise Conflict(f"a bill becomes {state} through payments, not by a PATCH")
    return state


def new_on_demand_request(body: Mapping[str, Any], id: str, account: Document, now: datetime) -> dict[str, Any]:
    """The document of a request for a bill of `account` now. Raises BadRequest."""
    if "customerBill" in body:
        raise BadRequest("customerBill of a customerBillOnDemand is its outcome: it cannot be asked for")
    _check_party(body.get("relatedParty"), account)
    return {
        "_id": id,
        "account_id": account["_id"],
        "account_name": account["resource"]["name"],
        "name": body.get("name"),
        "description": body.get("description"),
        "related_party": body.get("relatedParty"),
        "type_names": {name: body[name] for name in _TYPE_NAMES if name in body},
        "state": OnDemandState.IN_PROGRESS,
        "requested_at": now,
        "last_update_at": now,
        "changed_at": now,
        "revision": 1,
    }


def _check_party(party: Mapping[str, Any] | None, account: Document) -> None:
    """A bill goes to the parties of its account: a request can name one of them, and nobody else."""
    if party is None:
        return
    parties = [known["id"] for known in account["resource"]["relatedParty"]]
    if party.get("id") not in parties:
        raise BadRequest(
            f"relatedParty.id {party.get('id')} is no party of billingAccount {account['_id']}, which has {', '.join(parties)}"
        )


def on_demand_fact(request: Document) -> OnDemandBillRequested:
    """What the other services hear of a request."""
    return OnDemandBillRequested(
        id=request["_id"],
        account_id=request["account_id"],
        name=request.get("name"),
        description=request.get("description"),
        requested_at=request["requested_at"],
    )


def preview_fact(request: Document) -> BillPreviewRequested:
    """What the other services hear of a request that is only previewed."""
    return BillPreviewRequested(id=request["_id"], account_id=request["account_id"], requested_at=request["requested_at"])


def completed(request: Document, completion: OnDemandBillCompleted) -> Document:
    """The request's document after its end. One that has ended already stays the same, unless it is done after all."""
    if request["state"] == OnDemandState.DONE:
        return request
    if request["state"] != OnDemandState.IN_PROGRESS and completion.state is not OnDemandState.DONE:
        return request
    return {
        **request,
        "state": completion.state,
        "bill_id": completion.bill_id,
        "reason": completion.reason,
        "last_update_at": completion.completed_at,
    }


def _present(representation: Mapping[str, Any]) -> Representation:
    """Absent attributes are left out: v4 knows no null."""
    return {name: value for name, value in representation.items() if value is not None}


def _tax(tax: Document, currency: str) -> Representation:
    return {"taxCategory": tax["category"], "taxRate": tax["rate"], "taxAmount": {"unit": currency, "value": tax["amount"]}}


def _period(period: Document) -> Representation:
    return {"startDateTime": period["start"], "endDateTime": period["end"]}


def _account_ref(id: str, links: Links, name: str | None = None) -> Representation:
    return _present({"id": id, "href": links.account(id), "name": name, "@referredType": "BillingAccount"})


def _related_parties(bill: Document) -> list[Representation] | None:
    if bill.get("related_party_id") is None:
        return None
    return [_present({"id": bill["related_party_id"], "name": bill.get("related_party_name"), "role": _PARTY_ROLE})]


def _rate_characteristics(charge: Document) -> Iterable[Representation]:
    if charge.get("usage_type"):
        yield {"name": "usageType", "valueType": "string", "value": charge["usage_type"]}
    if charge["kind"] == ChargeKind.USAGE:
        yield {"name": "usageCount", "valueType": "integer", "value": charge["usage_count"]}
    yield {"name": "quantity", "valueType": "number", "value": charge["quantity"]}
    if charge.get("unit"):
        yield {"name": "unit", "valueType": "string", "value": charge["unit"]}

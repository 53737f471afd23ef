"""What a bill on demand would be now: a customerBill with its rates, without id, number and document.

TM Forum has no word for it. Attributes are those of TMF678 as far as it has them.
"""

from typing import Any

from libs.contracts import ChargeState
from libs.money import sum_exactly
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.resource import Document, Representation
from services.tmf_gateway.domain.tmf678 import applied_billing_rate, customer_bill

PREVIEW_PATH = "/tarifa/v1/billPreview"
PREVIEW_TITLE = "Preview the bill that customerBillOnDemand would issue now"
PREVIEW_NOTE = (
    "Takes the body of a customerBillOnDemand and issues nothing: no charge is closed, no bill number is used, no event is sent. "
    "A bill that is issued later also has what happened meanwhile."
)
PREVIEW_STATE = "preview"
# These belong to an issued bill.
_OF_ISSUED_BILLS = ("id", "href", "billNo", "billDocument", "remainingAmount", "lastUpdate")
# Fees, discounts and commitments have no charge before the cut.
_OF_STORED_CHARGES = ("id", "href")


def bill_preview(bill: Document, links: Links) -> Representation:
    """Return what a client is shown of a bill that was not issued; `bill` is as the document of an issued one."""
    issued = customer_bill(bill, links)
    discounts = [_discount(discount, bill["currency"]) for discount in bill["discounts"]]
    return {
        **{name: value for name, value in issued.items() if name not in _OF_ISSUED_BILLS},
        "state": PREVIEW_STATE,
        "appliedCustomerBillingRate": [_rate(line, bill, links) for line in bill["lines"]],
        **({"discountAfterTax": discounts} if discounts else {}),
        "@type": "CustomerBillPreview",
    }


def preview_schema(bill: Representation, rate: Representation) -> dict[str, Any]:
    """Return the JSON schema of the answer, made of TMF678's definitions of a customerBill and an appliedCustomerBillingRate."""
    product, amount = {"$ref": "#/definitions/ProductRef"}, {"$ref": "#/definitions/Money"}
    discount = {"description": {"type": "string"}, "product": product, "amount": amount}
    properties = {name: schema for name, schema in bill["properties"].items() if name not in _OF_ISSUED_BILLS}
    rates = {name: schema for name, schema in rate["properties"].items() if name not in _OF_STORED_CHARGES}
    return _object(
        {
            **properties,
            "state": {"type": "string", "enum": [PREVIEW_STATE]},
            "appliedCustomerBillingRate": {"type": "array", "items": _object(rates), "description": "The lines of the bill"},
            "discountAfterTax": {"type": "array", "items": _object(discount), "description": "They lower amountDue, neither price nor tax"},
        }
    )


def _rate(line: Document, bill: Document, links: Links) -> Representation:
    # Lines of a bill exclude tax, whether their prices include it or not.
    priced = {**line, "_id": line["charge_id"], "is_tax_included": False, "applied_taxes": line["taxes"]}
    rate = applied_billing_rate(
        {**priced, "account_id": bill["account_id"], "currency": bill["currency"], "state": ChargeState.CLOSED}, links
    )
    tax_included = sum_exactly([line["amount"], *(tax["amount"] for tax in line["taxes"])])
    shown = {name: value for name, value in rate.items() if name not in _OF_STORED_CHARGES}
    return {**shown, "taxIncludedAmount": {"unit": bill["currency"], "value": tax_included}}


def _discount(discount: Document, currency: str) -> Representation:
    product = {"id": discount["product_id"], "name": discount["product_name"]}
    return {"description": discount["description"], "product": product, "amount": {"unit": currency, "value": discount["amount"]}}


def _object(properties: Representation) -> dict[str, Any]:
    return {"type": "object", "properties": properties}

"""Tax categories: which there are at an address, and refusing those that the tax table does not know before a bill fails by them."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from libs.billing import TaxTable
from libs.contracts import PostalAddress
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Representation

TAX_CATEGORIES_PATH = "/tarifa/v1/taxCategory"
TAX_CATEGORIES_TITLE = "List the tax categories that bills know, with today's taxes"
TAX_CATEGORIES_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["id", "tax"],
        "properties": {
            "id": {"type": "string", "description": "What taxCategory of a billingAccount or of a price's tax can be"},
            "tax": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["taxCategory", "taxRate"],
                    "properties": {
                        "taxCategory": {"type": "string"},
                        "taxRate": {"type": "number", "description": "Percent"},
                        "on": {"type": "array", "items": {"type": "string"}, "description": "Taxes on which it is levied as well"},
                    },
                },
            },
        },
    },
}


def tax_categories(table: TaxTable, address: PostalAddress, day: date) -> list[Representation]:
    """Return the categories that the table knows at an address, each with its taxes on a day in the order of levying."""
    return [
        {
            "id": category,
            "tax": [
                {"taxCategory": tax.category, "taxRate": tax.rate, **({"on": list(tax.on)} if tax.on else {})}
                for tax in table.taxes(category, address, day) or ()
            ],
        }
        for category in table.categories(address)
    ]


def check_tax_category(table: TaxTable, category: str, address: PostalAddress) -> None:
    """Raise BadRequest for an account's category that has no tax at its address, with those that have."""
    known = table.categories(address)
    if category not in known:
        raise BadRequest(f"taxCategory {category!r} is not known here; there are {', '.join(known)} (GET {TAX_CATEGORIES_PATH})")


def check_price_tax(table: TaxTable, resource: Mapping[str, Any]) -> None:
    """Raise BadRequest for a productOfferingPrice's tax that the table knows nowhere; which address pays it is not known yet."""
    known = table.all_categories()
    for category in _categories(resource.get("tax", ())):
        if category not in known:
            raise BadRequest(f"tax.taxCategory {category!r} is not known; there are {', '.join(known)} (GET {TAX_CATEGORIES_PATH})")


def _categories(taxes: Iterable[Any]) -> Iterable[str]:
    return (tax["taxCategory"] for tax in taxes if isinstance(tax, Mapping) and isinstance(tax.get("taxCategory"), str))

"""A body for every request that takes one, as /docs shows it: sent as it is, or with the id of one's own account, it is accepted."""

from decimal import Decimal
from typing import Any

_ACCOUNT_ID = "the id of a billingAccount"

# By API and definition.
EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("TMF666", "BillingAccount_Create"): {
        "name": "Ada Lovelace",
        "currency": "EUR",
        "timeZone": "Europe/Madrid",
        "relatedParty": [{"id": "party-1", "name": "Ada Lovelace", "@referredType": "Individual"}],
        "billStructure": {"cycleSpecification": {"name": "monthly"}},
    },
    ("TMF666", "BillingAccount_Update"): {"name": "Ada King"},
    ("TMF637", "Product_Create"): {
        "name": "Mobile",
        "status": "active",
        "startDate": "2026-01-01T00:00:00Z",
        "billingAccount": {"id": _ACCOUNT_ID},
        "productOffering": {"id": "churn-plan"},
        "productCharacteristic": [{"name": "msisdn", "value": "+34600000001"}],
    },
    ("TMF637", "Product_Update"): {"status": "terminated", "terminationDate": "2026-12-01T00:00:00Z"},
    ("TMF620", "ProductSpecification_Create"): {"name": "Mobile line", "brand": "Tarifa", "productNumber": "M-1"},
    ("TMF620", "ProductSpecification_Update"): {"description": "A line with a number of its own"},
    ("TMF620", "ProductOfferingPrice_Create"): {
        "name": "National calls",
        "priceType": "usage",
        "price": {"unit": "EUR", "value": Decimal("0.10")},
        "unitOfMeasure": {"amount": 60, "units": "s"},
        "prodSpecCharValueUse": [
            {"name": "usageType", "productSpecCharacteristicValue": [{"value": "voice"}]},
            {"name": "called", "productSpecCharacteristicValue": [{"value": "+34"}]},
            {"name": "increments", "productSpecCharacteristicValue": [{"value": "60/1"}]},
        ],
    },
    ("TMF620", "ProductOfferingPrice_Update"): {"description": "Calls to any number in the country"},
    ("TMF620", "ProductOffering_Create"): {
        "name": "Mobile basic",
        "description": "Pay for what you call",
        "lifecycleStatus": "In design",
        "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
    },
    ("TMF620", "ProductOffering_Update"): {"lifecycleStatus": "In test"},
    ("TMF678", "CustomerBill_Update"): {"state": "onHold"},
    ("TMF678", "CustomerBillOnDemand_Create"): {"name": "Bill on demand", "billingAccount": {"id": _ACCOUNT_ID}},
    **{
        (api, "EventSubscriptionInput"): {"callback": "https://crm.example.com/events", "query": f"eventType={event_type}"}
        for api, event_type in (
            ("TMF678", "CustomerBillCreateEvent,CustomerBillStateChangeEvent"),
            ("TMF666", "BillingAccountCreateEvent"),
            ("TMF637", "ProductCreateEvent"),
            ("TMF620", "ProductOfferingStateChangeEvent"),
        )
    },
}

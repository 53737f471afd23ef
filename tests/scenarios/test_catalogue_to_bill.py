"""A CRM creates an offering over TMF620, sells it over TMF637, and its customer is billed by it, to the cent."""

from decimal import Decimal
from pathlib import Path

from libs.audit import audit
from libs.cli.books_in_force import books_in_force
from tests.world import AUDITED_AT, World, amounts

TMF620 = "/tmf-api/productCatalogManagement/v4"


def characteristics(**values) -> list[dict]:
    """Each a characteristic; a list has a value for each of its items."""
    return [
        {"name": name, "productSpecCharacteristicValue": [{"value": item} for item in (value if isinstance(value, list) else [value])]}
        for name, value in values.items()
    ]


def price(name: str, price_type: str, amount: float | None, **more) -> dict:
    """The body of a productOfferingPrice in dollars."""
    money = {"unit": "USD"} if amount is None else {"unit": "USD", "value": amount}
    return {"name": name, "priceType": price_type, "price": money, **more}


PRICES = (
    price("Monthly fee", "recurring", 9.99, recurringChargePeriodType="month", recurringChargePeriodLength=1),
    price("Activation", "oneTime", 5),
    price(
        "Calls",
        "usage",
        0.12,
        unitOfMeasure={"amount": 60, "units": "s"},
        prodSpecCharValueUse=characteristics(usageType="voice", increments="60/1"),
    ),
    price(
        "Messages",
        "usage",
        None,
        prodSpecCharValueUse=characteristics(
            usageType="sms",
            graduated=[
                {"up_to": "10 message", "price": {"amount": 0.05, "per": "1 message"}},
                {"price": {"amount": 0.02, "per": "1 message"}},
            ],
        ),
    ),
)


async def test_what_was_created_in_the_catalogue_is_on_the_bill(world: World) -> None:
    specification = await world.post(f"{TMF620}/productSpecification", {"name": "Mobile line"})
    prices = [await world.post(f"{TMF620}/productOfferingPrice", body) for body in PRICES]
    offering = await world.post(
        f"{TMF620}/productOffering",
        {
            "name": "Mobile, made by a CRM",
            "lifecycleStatus": "Launched",
            "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
            "productSpecification": {"id": specification["id"]},
            "productOfferingPrice": [{"id": price["id"]} for price in prices],
        },
    )
    await world.settle()
    assert (await world.get(f"{TMF620}/productOffering/{offering['id']}"))["statusReason"].startswith("in force as rate book catalog-")

    ada = await world.customer("Ada", offering=offering["id"], started_at="2026-03-01T05:00:00Z")
    await ada.calls(at="2026-03-02 10:00", seconds=90)
    await world.publish(
        *(ada.usage(at=f"2026-03-0{1 + number % 9} 12:00", seconds=1, usage_type="sms", unit="message") for number in range(12))
    )
    await world.settle()
    await world.bill_run("2026-03")

    rates = {rate["description"]: rate for rate in await ada.rates()}
    assert {name: amounts([rate])[0] for name, rate in rates.items()} == {
        "Monthly fee": Decimal("9.99"),
        "Activation": Decimal("5"),
        "Calls": Decimal("0.18"),
        "Messages": Decimal("0.54"),
    }
    (bill,) = await ada.bills()
    assert Decimal(str(bill["taxExcludedAmount"]["value"])) == Decimal("15.71")
    assert {rate["name"] for rate in rates.values()} == {price["id"] for price in prices}

    books = await books_in_force(world.settings, Path("deploy/rate-books"))
    findings = await audit(world.settings, books, lambda subject: None, as_of=AUDITED_AT)
    assert findings.differences == []
    assert "usages of another rate book, not priced again" not in findings.checked

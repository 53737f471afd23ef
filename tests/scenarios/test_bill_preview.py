"""A CRM looks at a bill before it asks for it: the preview is the bill that follows, and nothing comes of it."""

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from libs.contracts import AccountChanged, AccountParked, BillIssued, HubEventRaised, TariffPublished
from libs.exact_json import read_json, write_json
from libs.runtime.mongo import database
from tests.world import TMF666, TMF678, WAIT_S, Customer, World

PREVIEW = "/tarifa/v1/billPreview"
TARIFF = """id: previewed
effective_from: 2025-01-01
currency: USD
offerings:
  loyal:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 60 s}}
    recurring_prices:
      - {id: line, description: Line, amount: 12.34, period: month, tax_category: us-communications}
    discounts:
      - {id: tenth, description: A tenth off, percent: 10}
      - {id: staff, description: Staff pays half, percent: 50, applied: after_tax}
  untaxed:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 60 s}, tax_category: unlisted}
"""
OF_ISSUED_BILLS = {"id", "href", "billNo", "billDocument", "remainingAmount", "lastUpdate", "state", "@type"}
AT_THE_CUT = {"billDate", "paymentDueDate", "billingPeriod"}
OF_BILLED_RATES = {"id", "href", "date", "isBilled", "bill"}


async def publish_tariff(world: World) -> None:
    await world.publish(TariffPublished.of("previewed", TARIFF, datetime(2025, 1, 1, tzinfo=UTC)))
    await world.settle()


async def ask(world: World, account_id: str, **more: Any) -> httpx.Response:
    """The answer to a preview; asked again, as 503 says, where a busy machine does not answer in time."""
    deadline = time.monotonic() + WAIT_S
    while True:
        answer = await world.gateway.post(PREVIEW, json={"billingAccount": {"id": account_id}, **more})
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer


async def preview(customer: Customer) -> dict[str, Any]:
    answer = await ask(customer.world, customer.account_id)
    assert answer.status_code == 200, answer.text
    return read_json(answer.content)


async def shown(world: World, path: str, **query: str) -> Any:
    return read_json((await world.gateway.get(path, params=query)).content)


def without(resource: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in names}


def by_line(rates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((without(rate, OF_BILLED_RATES) for rate in rates), key=write_json)


async def stored(world: World, account_id: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that rating and invoicing keep of an account's bills, and the bill numbers."""
    client = world.services["rating"].client
    rating, invoicing = (database(client, world.settings, service) for service in ("rating", "invoicing"))
    of_account = {"account_id": account_id}
    return {
        "charges": await rating["charges"].find(of_account).sort("_id", 1).to_list(),
        "cuts": await rating["cuts"].find(of_account).to_list(),
        "products": await rating["products"].find(of_account).to_list(),
        "account": await rating["accounts"].find({"_id": account_id}).to_list(),
        "bills": await invoicing["bills"].find(of_account).to_list(),
        "parked": await invoicing["parked"].find(of_account).to_list(),
        "numbers": await invoicing["numbers"].find().to_list(),
    }


async def taxed(customer: Customer, tax_category: str) -> None:
    """Tell the services another tax category of the customer's account."""
    account = [told for told in await customer.world.facts(AccountChanged) if told.id == customer.account_id][-1]
    await customer.world.publish(account.model_copy(update={"tax_category": tax_category, "revision": account.revision + 1}))
    await customer.world.settle()


async def with_a_returned_fee(world: World, name: str) -> Customer:
    """A customer whose month was cut and never billed, so that its fee waits for the next bill, with more usage since."""
    customer = await world.customer(name, offering="loyal", started_at="2026-02-10T00:00:00Z")
    await taxed(customer, "unheard-of")
    await customer.calls(at="2026-03-02 10:00", seconds=6000)
    await world.settle()
    await world.bill_run("2026-03")
    (parked,) = await world.facts(AccountParked, customer.account_id)
    await world.publish(parked.model_copy(update={"is_final": True}))
    await taxed(customer, "standard")
    await customer.calls(at="2026-04-02 10:00", seconds=90, count=3)
    await world.settle()
    return customer


async def test_a_preview_is_the_bill_that_follows_line_by_line(world: World) -> None:
    await publish_tariff(world)
    ada = await with_a_returned_fee(world, "Ada")

    seen = await preview(ada)
    await ada.bill_on_demand()
    await world.settle()

    (bill,) = await shown(world, f"{TMF678}/customerBill", **{"billingAccount.id": ada.account_id})
    rates = await shown(world, f"{TMF678}/appliedCustomerBillingRate", **{"bill.id": bill["id"]})
    assert by_line(seen["appliedCustomerBillingRate"]) == by_line(rates)
    assert {rate["name"] for rate in rates} == {"calls", "line", "tenth"}
    own = {*OF_ISSUED_BILLS, *AT_THE_CUT, "appliedCustomerBillingRate", "discountAfterTax"}
    assert without(seen, own) == without(bill, own)
    assert {item["taxCategory"] for item in seen["taxItem"]} == {"standard", "us-communications"}
    (issued,) = await world.facts(BillIssued, ada.account_id)
    assert [discount["amount"]["value"] for discount in seen["discountAfterTax"]] == [discount.amount for discount in issued.discounts]
    assert (seen["state"], seen["category"], seen["runType"]) == ("preview", "interim", "offCycle")
    assert not OF_ISSUED_BILLS - {"state", "@type"} & seen.keys()


async def test_previews_change_nothing_and_use_no_number(world: World) -> None:
    await publish_tariff(world)
    eve = await world.customer("Eve", offering="loyal")
    await eve.calls(at="2026-03-02 10:00", seconds=90, count=3)
    await world.settle()
    before = await stored(world, eve.account_id)
    events_before = len(await world.facts(HubEventRaised))

    first, second = await preview(eve), await preview(eve)
    await world.settle()

    assert without(first, AT_THE_CUT) == without(second, AT_THE_CUT)
    assert await stored(world, eve.account_id) == before
    assert {charge["state"] for charge in before["charges"]} == {"open"}
    assert before["cuts"] == before["bills"] == []
    assert len(await world.facts(HubEventRaised)) == events_before
    assert await shown(world, f"{TMF678}/customerBillOnDemand", **{"billingAccount.id": eve.account_id}) == []
    await eve.bill_on_demand()
    await world.settle()
    (bill,) = await world.facts(BillIssued, eve.account_id)
    assert bill.amount_due == first["amountDue"]["value"]
    assert len({bill.bill_no for bill in await world.facts(BillIssued)}) == int(bill.bill_no.split("-")[1])


async def test_a_bill_that_could_not_be_issued_says_why(world: World) -> None:
    await publish_tariff(world)
    idle, untaxed = await world.customer("Idle"), await world.customer("Untaxed", offering="untaxed")
    await untaxed.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    before = await stored(world, untaxed.account_id)

    nothing, no_rate = await ask(world, idle.account_id), await ask(world, untaxed.account_id)

    assert (nothing.status_code, nothing.json()["message"]) == (409, "no bill could be issued: nothing to bill")
    assert (no_rate.status_code, no_rate.json()["status"]) == (409, "409")
    assert "no tax rate for category 'unlisted'" in no_rate.json()["message"]
    assert await stored(world, untaxed.account_id) == before
    assert await world.facts(AccountParked, untaxed.account_id) == []


async def test_only_a_bill_that_could_be_asked_for_is_previewed(world: World) -> None:
    known = await world.customer("Known")
    closed = await world.customer("Closed")
    patched = await world.gateway.patch(f"{TMF666}/billingAccount/{closed.account_id}", json={"state": "closed"})
    assert patched.status_code == 200, patched.text

    asked = [
        await ask(world, "404ID"),
        await ask(world, closed.account_id),
        await ask(world, known.account_id, relatedParty={"id": "stranger"}),
        await ask(world, known.account_id, customerBill={"id": "mine"}),
        await world.gateway.post(PREVIEW, json={}),
        await world.gateway.post(PREVIEW, content=b"[", headers={"Content-Type": "application/json"}),
    ]

    assert [answer.status_code for answer in asked] == [400] * 6, [answer.text for answer in asked]
    assert {answer.json()["@type"] for answer in asked} == {"Error"}


async def test_an_amount_of_half_a_cent_is_the_same_in_both(world: World) -> None:
    half = await world.customer("Half")
    await half.calls(at="2026-03-02 10:00", seconds=15, count=110)
    await world.settle()

    (rate,) = (await preview(half))["appliedCustomerBillingRate"]

    assert rate["taxExcludedAmount"]["value"] == Decimal("4.68")

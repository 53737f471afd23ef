"""Money that a cut, a run or a bill leaves behind is on a later bill, once; and the audit finds nothing wrong on the way."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from libs.audit import audit
from libs.contracts import AccountChanged
from libs.devstack.settings import PROJECT_ROOT
from libs.pricing import load_rate_books
from tests.world import AUDITED_AT, TMF637, TMF666, Customer, World, amounts

BOOKS = load_rate_books(PROJECT_ROOT / "deploy" / "rate-books")


async def differences(world: World) -> list[tuple[str, str]]:
    findings = await audit(world.settings, BOOKS, lambda subject: None, as_of=AUDITED_AT)
    return [(difference.category, difference.id) for difference in findings.differences]


async def patch(customer: Customer, **changes: Any) -> None:
    answer = await customer.world.gateway.patch(f"{TMF666}/billingAccount/{customer.account_id}", json=changes)
    assert answer.status_code == 200, answer.text
    await customer.world.settle()


async def tax_as(customer: Customer, category: str) -> None:
    """Give an account a tax category behind the gateway's back, which refuses unknown ones."""
    world = customer.world
    known = [fact for fact in await world.facts(AccountChanged) if fact.id == customer.account_id][-1]
    await world.publish(known.model_copy(update={"tax_category": category, "revision": known.revision + 1}))
    await world.settle()


def in_cycle(name: str) -> dict[str, Any]:
    return {"billStructure": {"cycleSpecification": {"name": name}}}


async def test_charges_of_a_bill_on_demand_that_cannot_be_issued_are_on_the_next_bill(world: World) -> None:
    ada = await world.customer("Ada")
    await tax_as(ada, "luxury")
    await ada.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    failed = await ada.bill_on_demand()
    assert (failed["state"], "no tax rate" in failed["stateReason"]) == ("terminatedWithError", True)
    await world.settle()
    assert amounts(await ada.rates(isBilled="false")) == [Decimal("1.70")]
    assert await differences(world) == []

    await tax_as(ada, "standard")
    await ada.calls(at="2026-03-03 10:00", seconds=60)
    await world.settle()
    again = await ada.bill_on_demand()
    await world.settle()
    assert again["state"] == "done"
    (bill,) = await ada.bills()
    billed = await ada.rates(**{"bill.id": bill["id"]})
    assert sorted(amounts(billed)) == [Decimal("0.17"), Decimal("1.70")]
    assert await ada.rates(isBilled="false") == []
    assert await differences(world) == []


async def test_the_next_run_bills_what_was_asked_for_on_demand_in_vain(world: World) -> None:
    bob = await world.customer("Bob", **in_cycle("vain"))
    await tax_as(bob, "luxury")
    await bob.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    await bob.bill_on_demand()
    await world.settle()
    run = await world.bill_run("2026-03", "vain")
    assert run["counts"]["parked"] == 1
    await tax_as(bob, "standard")
    run = await world.bill_run("2026-03", "vain", rerun=1)
    assert (run["counts"]["parked"], run["counts"]["billed"]) == (0, 1)
    (bill,) = await bob.bills()
    assert amounts(await bob.rates(**{"bill.id": bill["id"]})) == [Decimal("1.70")]
    assert await differences(world) == []


async def test_what_comes_after_the_bill_of_a_month_is_on_the_next_when_the_account_changes_its_cycle(world: World) -> None:
    eve = await world.customer("Eve", **in_cycle("early"))
    await eve.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    await world.bill_run("2026-03", "early")
    await patch(eve, **in_cycle("late"))
    await eve.calls(at="2026-03-03 10:00", seconds=60)
    await world.settle()
    run = await world.bill_run("2026-03", "late")
    assert run["counts"]["parked"] == 1
    assert await differences(world) == []

    await world.bill_run("2026-04", "late")
    bills = await eve.bills()
    assert len(bills) == 2
    assert sorted(amounts(await eve.rates(isBilled="true"))) == [Decimal("0.17"), Decimal("1.70")]
    assert await differences(world) == []


async def test_an_account_that_was_closed_gets_its_last_bill_and_is_told_of_what_comes_too_late(world: World) -> None:
    zoe = await world.customer("Zoe", **in_cycle("leaving"))
    await zoe.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    await patch(zoe, state="closed")
    run = await world.bill_run("2026-03", "leaving")
    assert run["counts"]["billed"] == 1
    (bill,) = await zoe.bills()
    account = await world.get(f"{TMF666}/billingAccount/{zoe.account_id}")
    assert account["accountBalance"][0]["amount"] == bill["amountDue"]

    await zoe.calls(at="2026-03-03 10:00", seconds=60)
    await world.settle()
    await world.bill_run("2026-04", "leaving")
    assert len(await zoe.bills()) == 2
    assert await differences(world) == []

    await zoe.calls(at="2026-03-04 10:00", seconds=60)
    accounts = world.services["operations"].database["accounts"]
    await accounts.update_one({"_id": zoe.account_id}, {"$set": {"closed_at": datetime(2025, 12, 1, tzinfo=UTC)}})
    await world.settle()
    (late,) = await zoe.rates(isBilled="false")
    assert await differences(world) == [("charge-left-behind", late["id"])]
    await accounts.update_one({"_id": zoe.account_id}, {"$set": {"closed_at": datetime(2026, 4, 1, tzinfo=UTC)}})


async def test_usage_of_before_a_change_of_the_offering_is_audited_by_the_offering_of_then(world: World) -> None:
    kim = await world.customer("Kim")
    await kim.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    answer = await world.gateway.patch(f"{TMF637}/product/{kim.product_id}", json={"productOffering": {"id": "mobile-basic"}})
    assert answer.status_code == 200, answer.text
    await world.settle()
    assert await differences(world) == []

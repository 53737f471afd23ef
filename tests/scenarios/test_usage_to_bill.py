"""The main job as stories: usage becomes charges, charges become bills, and everybody who must know does."""

from decimal import Decimal

from libs.contracts import BillIssued, BillSkipped, ChargesClosed, UsageRated
from tests.world import TMF666, TMF678, World, amounts


async def test_a_call_travels_to_a_bill_that_a_crm_asked_for(world: World) -> None:
    ada = await world.customer("Ada")
    await ada.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    (unbilled,) = await ada.rates(isBilled="false")
    assert amounts([unbilled]) == [Decimal("1.70")]

    requested = await ada.request_bill()
    assert requested["state"] == "inProgress"
    ended = await ada.ended(requested["id"])

    assert ended["state"] == "done"
    await world.settle()
    (bill,) = await ada.bills()
    assert bill["id"] == ended["customerBill"]["id"]
    assert bill["runType"] == "offCycle"
    (billed,) = await ada.rates(isBilled="true")
    assert billed["bill"]["id"] == bill["id"]
    assert [len(await world.facts(fact, ada.account_id)) for fact in (UsageRated, ChargesClosed, BillIssued)] == [1, 1, 1]


async def test_a_sum_that_is_half_a_cent_is_rounded_up_once(world: World) -> None:
    # 0.17 a minute for 110 calls of 15 s is 4.675: rounding call by call, or in binary, would miss 4.68.
    half = await world.customer("Half a cent")
    await half.calls(at="2026-03-02 10:00", seconds=15, count=110)
    await world.settle()
    await half.bill_on_demand()
    await world.settle()
    assert amounts(await half.rates()) == [Decimal("4.68")]


async def test_each_band_is_a_line_by_the_local_time_of_the_customer(world: World) -> None:
    honolulu = await world.customer("Kai", zone="Pacific/Honolulu")
    await honolulu.calls(at="2026-03-02 09:00", seconds=60)
    await honolulu.calls(at="2026-03-02 19:00", seconds=60)
    await honolulu.calls(at="2026-03-02 23:00", seconds=60)
    await honolulu.calls(at="2026-03-02 23:00", seconds=60, to="+34911234567")
    await world.settle()
    lines = {rate["name"]: rate for rate in await honolulu.rates()}
    assert len(lines) == 4
    assert sorted(amounts(list(lines.values()))) == [Decimal("0.05"), Decimal("0.09"), Decimal("0.17"), Decimal("0.27")]


async def test_asked_twice_while_one_runs_no_charge_is_billed_twice(world: World) -> None:
    eve = await world.customer("Eve")
    await eve.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    first, second = await eve.request_bill(), await eve.request_bill()
    assert first["id"] != second["id"]
    ends = [await eve.ended(request["id"]) for request in (first, second)]
    assert sorted(end["state"] for end in ends) == ["done", "rejected"]
    (rejected,) = [end for end in ends if end["state"] == "rejected"]
    assert "nothing to bill" in rejected["stateReason"]
    assert len(await eve.bills()) == 1


async def test_late_usage_goes_on_the_next_bill_with_its_own_period(world: World) -> None:
    late = await world.customer("Late")
    await late.calls(at="2026-03-02 10:00", seconds=60)
    await world.settle()
    await late.bill_on_demand()
    await late.calls(at="2026-03-03 10:00", seconds=120)
    await world.settle()
    second = await late.bill_on_demand()
    await world.settle()
    (rate,) = await late.rates(**{"bill.id": second["customerBill"]["id"]})
    assert amounts([rate]) == [Decimal("0.34")]
    assert rate["periodCoverage"]["startDateTime"].startswith("2026-03-01T05:00:00")


async def test_a_cycle_bills_everybody_once_and_the_same_command_twice_changes_nothing(world: World) -> None:
    people = [await world.customer(f"Cycle {number}") for number in range(3)]
    for person in people:
        await person.calls(at="2026-04-02 10:00", seconds=600)
    await world.settle()
    run = await world.bill_run("2026-04")
    again = await world.bill_run("2026-04")
    assert run["counts"] == again["counts"]
    assert run["counts"]["billed"] >= 3
    assert [len(await person.bills()) for person in people] == [1, 1, 1]


async def test_a_customer_without_usage_is_skipped_by_the_cycle(world: World) -> None:
    idle = await world.customer("Idle")
    await world.bill_run("2026-05")
    assert await idle.bills() == []
    assert len(await world.facts(BillSkipped, idle.account_id)) == 1


async def test_what_is_owed_shows_on_the_billing_account(world: World) -> None:
    owing = await world.customer("Owing")
    await owing.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    await owing.bill_on_demand()
    await world.settle()
    (bill,) = await owing.bills()
    account = await world.get(f"{TMF666}/billingAccount/{owing.account_id}")
    (balance,) = account["accountBalance"]
    assert balance["amount"] == bill["amountDue"]


async def test_a_bill_on_hold_goes_back_to_where_it_came_from(world: World) -> None:
    held = await world.customer("Held")
    await held.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    await held.bill_on_demand()
    await world.settle()
    (bill,) = await held.bills()
    path = f"{TMF678}/customerBill/{bill['id']}"
    states = []
    for wanted in ("validated", "onHold", "validated", "sent", "new"):
        answer = await world.gateway.patch(path, json={"state": wanted})
        states.append((answer.status_code, answer.json().get("state")))
    assert states == [(200, "validated"), (200, "onHold"), (200, "validated"), (200, "sent"), (409, None)]


async def test_the_pdf_of_a_bill_is_rendered_when_first_asked_for(world: World) -> None:
    reader = await world.customer("Reader")
    await reader.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    await reader.bill_on_demand()
    await world.settle()
    (bill,) = await reader.bills()
    (document,) = bill["billDocument"]
    assert document["mimeType"] == "application/pdf"
    answer = await world.gateway.get(document["url"])
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF-")

"""invoicing alone on real Kafka and MongoDB: how closed charges become numbered bills, and what becomes of those."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.billing import BillDraft, assemble_bill
from libs.billing.bill import park
from libs.contracts import AccountParked, BillIssued, BillSkipped, BillState, BillStateChanged, BillStateRefused, ChargesClosed, Fact
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lag import LagReader, lag_reader
from services.invoicing.domain.series import InvoiceSeries
from services.invoicing.store import BillStore
from tests.closings import TERMS, asks, closed, line, on_demand
from tests.outcomes import account
from tests.world import WAIT_S, build_service, read_facts


@dataclass(frozen=True)
class Desk:
    """The service, and the hands that feed it."""

    service: Service
    lag: LagReader

    async def tell(self, *facts: Fact) -> None:
        await self.service.publish(facts)
        await self.lag.settled(WAIT_S)

    async def bills(self) -> list[BillIssued]:
        return await read_facts(self.service.settings, BillIssued)

    async def parked(self) -> list[AccountParked]:
        return await read_facts(self.service.settings, AccountParked)

    async def changed(self) -> list[BillStateChanged]:
        return await read_facts(self.service.settings, BillStateChanged)

    async def refused(self) -> list[BillStateRefused]:
        return await read_facts(self.service.settings, BillStateRefused)

    async def numbers(self) -> list[str]:
        return [bill["bill_no"] async for bill in self.service.database["bills"].find().sort("bill_no", 1)]

    async def bill(self, bill_id: str) -> dict:
        bill = await self.service.database["bills"].find_one({"_id": bill_id})
        assert bill is not None, f"no bill {bill_id}"
        return bill


@pytest.fixture
async def desk(settings: RuntimeSettings) -> AsyncIterator[Desk]:
    service = build_service("invoicing", settings, account_wait_s=0.3)
    async with service.running(), lag_reader(settings) as lag:
        yield Desk(service, lag)


def draft_of(charges: ChargesClosed) -> BillDraft:
    draft = assemble_bill(charges, account(charges.account_id), TERMS)
    assert isinstance(draft, BillDraft)
    return draft


def numbers_of(year: int, count: int) -> list[str]:
    return [f"{year}-{number:08d}" for number in range(1, count + 1)]


async def test_closed_charges_become_a_bill_with_a_number(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "10.00", "0.50"))
    (bill,) = await desk.bills()
    assert (bill.id, bill.bill_no, bill.state) == ("ada.2026-03-01.onCycle", "2026-00000001", BillState.NEW)
    assert (bill.tax_excluded_amount, bill.tax_included_amount) == (Decimal("10.50"), Decimal("12.71"))
    stored = await desk.bill(bill.id)
    assert stored["lines"][0]["charge_id"] == "run|ada|0"
    assert stored["tax_included_amount"] == Decimal("12.71")


async def test_nothing_closed_is_skipped(desk: Desk):
    await desk.tell(closed("ada"))
    assert [skip.id for skip in await read_facts(desk.service.settings, BillSkipped)] == ["run|ada"]
    assert await desk.bills() == []


async def test_repeated_charges_repeat_the_answer_and_bill_nothing_twice(desk: Desk):
    await desk.tell(account("ada"))
    charges = closed("ada", "10.00")
    await desk.tell(charges, charges)
    await desk.tell(charges)
    first, *repeats = await desk.bills()
    assert repeats
    assert set(repeats) == {first}
    assert await desk.numbers() == numbers_of(2026, 1)


async def test_the_repeated_answer_is_the_bill_as_it_was_issued(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "10.00"))
    await desk.tell(asks("r1", "ada.2026-03-01.onCycle", BillState.ON_HOLD), account("ada", name="Renamed", revision=2))
    await desk.tell(closed("ada", "10.00"))
    first, again = await desk.bills()
    assert first == again


async def test_bills_of_a_batch_are_numbered_without_a_gap(desk: Desk):
    names = [f"a{number}" for number in range(120)]
    await desk.tell(*(account(name) for name in names))
    await desk.tell(*(closed(name, "1.00") for name in names), *(on_demand(name, "1.00", request_id=f"r-{name}") for name in names))
    assert await desk.numbers() == numbers_of(2026, 240)


async def test_each_year_has_its_own_numbers(desk: Desk):
    await desk.tell(account("ada"), account("bob"))
    new_year = datetime(2027, 1, 1, 12, tzinfo=UTC)
    await desk.tell(closed("ada", "1.00"), closed("bob", "1.00", closed_at=new_year))
    assert await desk.numbers() == ["2026-00000001", "2027-00000001"]


async def test_two_instances_issue_at_once_without_a_gap_or_a_double(settings: RuntimeSettings):
    names = [f"a{number}" for number in range(300)]
    async with AsyncExitStack() as stack:
        services = [build_service("invoicing", settings) for _ in range(2)]
        await asyncio.gather(*(stack.enter_async_context(service.running()) for service in services))
        lag = await stack.enter_async_context(lag_reader(settings))
        desk = Desk(services[0], lag)
        await desk.tell(*(account(name) for name in names))
        charges = [closed(name, "1.00", "2.00") for name in names]
        await asyncio.gather(services[0].publish(charges), services[1].publish(charges))
        await lag.settled(WAIT_S)
        issued = await desk.bills()
        assert {bill.account_id for bill in issued} == set(names)
        assert len(set(issued)) == 300
        assert await desk.numbers() == numbers_of(2026, 300)


async def test_the_same_cuts_handled_by_two_instances_at_once_get_the_same_bills(desk: Desk):
    database, client = desk.service.database, desk.service.client
    stores = [BillStore(client, database, InvoiceSeries("{year}")) for _ in range(2)]
    drafts = [draft_of(closed(f"a{number}", "1.00")) for number in range(50)]
    one, other = await asyncio.gather(stores[0].add(drafts), stores[1].add(list(reversed(drafts))))
    assert one.decided == other.decided
    assert one.refusals == other.refusals == {}
    assert await desk.numbers() == numbers_of(2026, 50)


async def test_one_bad_account_is_parked_and_the_rest_of_its_batch_is_billed(desk: Desk):
    await desk.tell(account("ada"), account("bad", tax_category="luxury"), account("bob"), account("yen", currency="JPY"))
    await desk.tell(closed("ada", "1.00"), closed("bad", "1.00"), closed("ghost", "1.00"), closed("yen", "1.00"), closed("bob", "1.00"))
    assert {bill.account_id for bill in await desk.bills()} == {"ada", "bob"}
    reasons = {park.account_id: park.reason for park in await desk.parked()}
    assert "no tax rate for category 'luxury'" in reasons.pop("bad")
    assert "account ghost is not known" in reasons.pop("ghost")
    assert "charges are in EUR, account yen is billed in JPY" in reasons.pop("yen")
    assert reasons == {}
    assert await desk.numbers() == numbers_of(2026, 2)


async def test_a_charge_that_stands_on_a_bill_already_parks_its_account_alone(desk: Desk):
    await desk.tell(*(account(name) for name in ("ada", "bob", "cy")))
    await desk.tell(closed("ada", lines=[line("c1", "1.00")]))
    await desk.tell(
        closed("bob", "1.00"), on_demand("ada", request_id="r1", lines=[line("c2", "5.00"), line("c1", "1.00")]), closed("cy", "1.00")
    )
    assert Counter(bill.account_id for bill in await desk.bills()) == {"ada": 1, "bob": 1, "cy": 1}
    (park,) = await desk.parked()
    assert (park.id, park.cause_id, park.is_final) == ("r1", "r1", False)
    assert park.reason.startswith("charge c1 stands on bill 2026-00000001 (ada.2026-03-01.onCycle) already")
    assert await desk.numbers() == numbers_of(2026, 3)


async def test_two_cuts_of_one_batch_with_the_same_charge_make_one_bill(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(
        on_demand("ada", request_id="r1", lines=[line("c1", "1.00")]), on_demand("ada", request_id="r2", lines=[line("c1", "1.00")])
    )
    (bill,), (park,) = await desk.bills(), await desk.parked()
    assert {bill.cut_id, park.id} == {"r1", "r2"}
    assert await desk.numbers() == numbers_of(2026, 1)


async def test_a_second_cycle_bill_of_the_same_period_is_parked_for_good(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "1.00"))
    await desk.tell(closed("ada", "2.00", cut_id="another run|ada"))
    (park,) = await desk.parked()
    assert "bill 2026-00000001 (ada.2026-03-01.onCycle) was issued for the same account, period and kind" in park.reason
    assert park.is_final


async def test_a_number_given_before_parks_the_account_and_names_the_counter(desk: Desk):
    await desk.tell(account("ada"), account("bob"))
    await desk.tell(closed("ada", "1.00"))
    await desk.service.database["numbers"].update_one({"_id": "2026"}, {"$set": {"last": 0}})
    await desk.tell(closed("bob", "1.00"))
    (park,) = await desk.parked()
    assert "number 2026-00000001 was given to bill 2026-00000001 (ada.2026-03-01.onCycle) already: the counter" in park.reason


async def test_what_was_parked_is_billed_once_the_reason_is_mended(desk: Desk):
    await desk.tell(account("ada", tax_category="luxury"))
    await desk.tell(closed("ada", "1.00"))
    assert len(await desk.parked()) == 1
    await desk.tell(account("ada", tax_category="reduced", revision=2))
    await desk.tell(closed("ada", "1.00"))
    (bill,) = await desk.bills()
    assert bill.tax_items[0].category == "reduced"


async def test_what_was_parked_on_demand_is_never_billed_for_its_charges_are_on_the_next_bill(desk: Desk):
    await desk.tell(account("ada", tax_category="luxury"))
    charges = on_demand("ada", "1.00", request_id="r1")
    await desk.tell(charges)
    await desk.tell(account("ada", tax_category="reduced", revision=2))
    await desk.tell(charges, on_demand("ada", request_id="r2", lines=[*charges.lines, line("c2", "5.00")]))
    first, again = await desk.parked()
    assert first == again
    assert (first.id, first.is_final) == ("r1", True)
    (bill,) = await desk.bills()
    assert (bill.cut_id, bill.tax_excluded_amount) == ("r2", Decimal("6.00"))


async def test_an_instance_cannot_bill_on_demand_what_another_has_parked_nor_park_what_it_has_billed(desk: Desk):
    stores = [BillStore(desk.service.client, desk.service.database, InvoiceSeries("{year}")) for _ in range(2)]
    names = [f"a{number}" for number in range(20)]
    closings = [on_demand(name, "1.00", request_id=f"r-{name}") for name in names]
    kept, parked = await asyncio.gather(
        stores[0].add([draft_of(charges) for charges in closings]), stores[1].park([park(charges, "no tax rate") for charges in closings])
    )
    assert kept.decided == parked
    assert kept.refusals == {}
    assert len(await desk.numbers()) == sum(isinstance(decision, BillIssued) for decision in parked.values())


async def test_an_account_that_comes_after_its_charges_is_waited_for(settings: RuntimeSettings):
    service = build_service("invoicing", settings, account_wait_s=20.0)
    async with service.running(), lag_reader(settings) as lag:
        desk = Desk(service, lag)
        await service.publish([closed("ada", "1.00")])
        await desk.tell(account("ada"))
        assert len(await desk.bills()) == 1
        assert await desk.parked() == []


async def test_an_older_revision_of_an_account_changes_nothing(desk: Desk):
    await desk.tell(account("ada", name="New", revision=7))
    await desk.tell(account("ada", name="Old", revision=6))
    await desk.tell(closed("ada", "1.00"))
    (bill,) = await desk.bills()
    assert bill.account_name == "New"


async def test_a_bill_changes_state_once_however_often_it_is_asked(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "1.00"))
    held = asks("r1", "ada.2026-03-01.onCycle", BillState.ON_HOLD)
    await desk.tell(held, held)
    await desk.tell(asks("r2", held.bill_id, BillState.NEW))
    await desk.tell(held)
    on_hold, *others = [change for change in await desk.changed() if change.request_id == "r1"]
    assert (on_hold.id, on_hold.from_state, on_hold.bill.state, on_hold.bill.held_from) == ("r1", "new", "onHold", "new")
    assert others
    assert set(others) == {on_hold}
    assert await desk.refused() == []
    assert (await desk.bill(held.bill_id))["state"] == "new"


async def test_a_held_bill_goes_back_to_where_it_was_held_from(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "1.00"))
    bill_id = "ada.2026-03-01.onCycle"
    for request_id, state in enumerate([BillState.VALIDATED, BillState.SENT, BillState.ON_HOLD, BillState.VALIDATED, BillState.SENT]):
        await desk.tell(asks(f"r{request_id}", bill_id, state))
    assert [(change.from_state, change.bill.state) for change in await desk.changed()] == [
        ("new", "validated"),
        ("validated", "sent"),
        ("sent", "onHold"),
        ("onHold", "sent"),
    ]
    (refusal,) = await desk.refused()
    assert (refusal.request_id, refusal.unchanged) == ("r3", False)
    stored = await desk.bill(bill_id)
    assert (stored["state"], stored["held_from"]) == ("sent", None)


async def test_many_requests_of_one_batch_are_answered_in_order(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "1.00"))
    states = [BillState.ON_HOLD, BillState.NEW] * 10
    await desk.tell(*(asks(f"r{number}", "ada.2026-03-01.onCycle", state) for number, state in enumerate(states)))
    assert [change.bill.state for change in await desk.changed()] == states


async def test_the_state_a_bill_has_already_is_unchanged_and_an_unknown_bill_not_found(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "1.00"))
    bill_id = "ada.2026-03-01.onCycle"
    await desk.tell(asks("r1", bill_id, BillState.NEW), asks("r2", "404ID", BillState.SENT))
    await desk.tell(asks("r3", bill_id, BillState.SENT, account_id="somebody else"))
    refused = {refusal.request_id: refusal for refusal in await desk.refused()}
    assert refused["r1"].unchanged
    assert refused["r2"].reason == "there is no bill 404ID on account ada"
    assert refused["r3"].reason == f"there is no bill {bill_id} on account somebody else"


async def test_a_refusal_stays_even_when_the_bill_has_moved_on(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "1.00"))
    bill_id = "ada.2026-03-01.onCycle"
    await desk.tell(asks("r1", bill_id, BillState.NEW))
    await desk.tell(asks("r2", bill_id, BillState.ON_HOLD))
    await desk.tell(asks("r1", bill_id, BillState.NEW))
    first, again = await desk.refused()
    assert first == again
    assert (await desk.bill(bill_id))["state"] == "onHold"


async def test_the_gateways_lists_read_an_index_and_sort_nothing(desk: Desk):
    newest_first = [("bill_date", -1), ("_id", 1)]
    for query in ({}, {"account_id": "ada"}, {"state": "new"}):
        plan = await desk.service.database["bills"].find(query).sort(newest_first).limit(20).explain()
        stages = repr(plan["queryPlanner"]["winningPlan"])
        assert "IXSCAN" in stages, query
        assert "SORT" not in stages, query

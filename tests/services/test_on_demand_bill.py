"""on_demand_bill alone on real Kafka and MongoDB: what it answers to requests and to the outcomes of their cuts."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from libs.contracts import AccountState, Fact, OnDemandBillCompleted, OnDemandBillRequested, OnDemandState, PeriodCut, RunType
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lag import LagReader, lag_reader
from tests.outcomes import AT, account, issued, parked, refused, skipped
from tests.world import WAIT_S, build_service, read_facts


@dataclass(frozen=True)
class Desk:
    """The service, and the hands that feed it."""

    service: Service
    lag: LagReader

    async def tell(self, *facts: Fact) -> None:
        await self.service.publish(facts)
        await self.lag.settled(WAIT_S)

    async def cuts(self) -> list[PeriodCut]:
        return await read_facts(self.service.settings, PeriodCut)

    async def ends(self) -> list[OnDemandBillCompleted]:
        return await read_facts(self.service.settings, OnDemandBillCompleted)

    async def cut_count_reaches(self, count: int) -> None:
        deadline = time.monotonic() + WAIT_S
        while len(await self.cuts()) < count:
            assert time.monotonic() < deadline, f"never {count} cuts"
            await asyncio.sleep(0.02)


@asynccontextmanager
async def open_desk(settings: RuntimeSettings, grace_s: float) -> AsyncIterator[Desk]:
    service = build_service("on_demand_bill", settings, account_grace_s=grace_s, refused_pause_s=0.05)
    async with service.running(), lag_reader(settings) as lag:
        yield Desk(service, lag)


@pytest.fixture
async def desk(settings: RuntimeSettings) -> AsyncIterator[Desk]:
    async with open_desk(settings, grace_s=600) as patient:
        yield patient


@pytest.fixture
async def impatient_desk(settings: RuntimeSettings) -> AsyncIterator[Desk]:
    async with open_desk(settings, grace_s=0.2) as impatient:
        yield impatient


def requested(request_id: str, account_id: str = "ada") -> OnDemandBillRequested:
    return OnDemandBillRequested(id=request_id, account_id=account_id, requested_at=AT)


async def test_a_request_becomes_an_off_cycle_cut_and_its_bill_the_end(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(requested("r1"))
    (cut,) = await desk.cuts()
    assert (cut.account_id, cut.run_type, cut.cause_id, cut.requested_at) == ("ada", RunType.OFF_CYCLE, "r1", AT)
    await desk.tell(issued("ada", "r1", RunType.OFF_CYCLE))
    (end,) = await desk.ends()
    assert (end.id, end.state, end.bill_id) == ("r1", OnDemandState.DONE, "bill-of-r1-ada")


async def test_a_repeated_request_gets_the_same_answer_while_it_runs_and_after_it_ended(desk: Desk):
    await desk.tell(requested("r1"))
    await desk.tell(requested("r1"), requested("r1"))
    first, *repeats = await desk.cuts()
    assert repeats
    assert set(repeats) == {first}
    await desk.tell(issued("ada", "r1", RunType.OFF_CYCLE))
    await desk.tell(requested("r1"))
    one, again = await desk.ends()
    assert one == again
    assert len(await desk.cuts()) == 1 + len(repeats)


async def test_a_second_request_of_the_account_is_its_own_cut(desk: Desk):
    await desk.tell(requested("r1"), requested("r2"))
    assert len({cut.id for cut in await desk.cuts()}) == 2
    await desk.tell(issued("ada", "r1", RunType.OFF_CYCLE), skipped("ada", "r2", RunType.OFF_CYCLE))
    assert {end.id: end.state for end in await desk.ends()} == {"r1": OnDemandState.DONE, "r2": OnDemandState.REJECTED}


async def test_a_closed_account_is_rejected_without_a_cut(desk: Desk):
    await desk.tell(account("ada", state=AccountState.CLOSED, revision=2))
    await desk.tell(account("ada", revision=1))
    await desk.tell(requested("r1"))
    (end,) = await desk.ends()
    assert (end.state, end.reason) == (OnDemandState.REJECTED, "account ada is closed")
    assert await desk.cuts() == []


async def test_an_account_that_rating_hears_of_later_is_cut_again_and_billed(desk: Desk):
    await desk.tell(requested("r1"))
    await desk.tell(refused("ada", "r1", RunType.OFF_CYCLE))
    await desk.cut_count_reaches(2)
    first, again = (await desk.cuts())[:2]
    assert first == again
    await desk.tell(issued("ada", "r1", RunType.OFF_CYCLE))
    (end,) = await desk.ends()
    assert end.state is OnDemandState.DONE


async def test_an_account_that_stays_unknown_is_rejected_with_the_reason(impatient_desk: Desk):
    await impatient_desk.tell(requested("r1"))
    deadline = time.monotonic() + WAIT_S
    while not await impatient_desk.ends():
        assert time.monotonic() < deadline
        await impatient_desk.tell(refused("ada", "r1", RunType.OFF_CYCLE, "rating never heard of account ada"))
    end = (await impatient_desk.ends())[0]
    assert (end.state, end.reason) == (OnDemandState.REJECTED, "rating never heard of account ada")


async def test_a_bill_that_comes_after_the_rejection_is_told_as_the_end(impatient_desk: Desk):
    await impatient_desk.tell(requested("r1"))
    deadline = time.monotonic() + WAIT_S
    while not await impatient_desk.ends():
        assert time.monotonic() < deadline
        await impatient_desk.tell(refused("ada", "r1", RunType.OFF_CYCLE))
    await impatient_desk.tell(issued("ada", "r1", RunType.OFF_CYCLE))
    await impatient_desk.tell(refused("ada", "r1", RunType.OFF_CYCLE))
    first, *_, last = await impatient_desk.ends()
    assert first.state is OnDemandState.REJECTED
    assert (last.state, last.bill_id, last.reason) == (OnDemandState.DONE, "bill-of-r1-ada", None)


async def test_a_parked_account_terminates_the_request_with_its_reason(desk: Desk):
    await desk.tell(requested("r1"))
    await desk.tell(parked("ada", "r1", RunType.OFF_CYCLE, "no tax rate"))
    (end,) = await desk.ends()
    assert (end.state, end.reason) == (OnDemandState.TERMINATED_WITH_ERROR, "no tax rate")


async def test_a_repeated_outcome_repeats_the_end(desk: Desk):
    await desk.tell(requested("r1"))
    await desk.tell(issued("ada", "r1", RunType.OFF_CYCLE))
    await desk.tell(issued("ada", "r1", RunType.OFF_CYCLE))
    one, again = await desk.ends()
    assert one == again


async def test_outcomes_of_bill_runs_and_of_strangers_pass_by(desk: Desk):
    await desk.tell(requested("r1"))
    await desk.tell(issued("ada", "r1", RunType.ON_CYCLE), issued("bob", "somebody-else", RunType.OFF_CYCLE))
    assert await desk.ends() == []

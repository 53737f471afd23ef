"""operations alone on real Kafka and MongoDB: bill runs asked for, answered, repeated and run again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.contracts import (
    AccountParked,
    AccountState,
    BillRunChanged,
    BillRunRequested,
    BillRunState,
    Fact,
    PeriodCut,
    RunType,
)
from libs.periods import calendar_month
from libs.runtime import RuntimeSettings, Service, from_document
from libs.runtime.lag import LagReader, lag_reader
from services.operations.domain.run_account import run_account_id
from tests.outcomes import account, issued, parked, refused, skipped
from tests.world import WAIT_S, build_service, read_facts

RUN_ID = "monthly:2026-03"
ASKED_AT = datetime(2026, 4, 3, tzinfo=UTC)
ON_CYCLE = RunType.ON_CYCLE


@dataclass(frozen=True)
class Office:
    """The service, and the hands that feed it."""

    service: Service
    lag: LagReader

    async def tell(self, *facts: Fact) -> None:
        await self.service.publish(facts)
        await self.lag.settled(WAIT_S)

    async def cuts(self) -> list[PeriodCut]:
        return await read_facts(self.service.settings, PeriodCut)

    async def changes(self) -> list[BillRunChanged]:
        return await read_facts(self.service.settings, BillRunChanged)

    async def run(self, run_id: str = RUN_ID) -> BillRunChanged:
        document = await self.service.database["runs"].find_one({"_id": run_id})
        assert document is not None
        return from_document(BillRunChanged, document)


@pytest.fixture
async def office(settings: RuntimeSettings) -> AsyncIterator[Office]:
    service = build_service("operations", settings)
    async with service.running(), lag_reader(settings) as lag:
        yield Office(service, lag)


def requested(period: str = "2026-03", rerun: int = 0) -> BillRunRequested:
    return BillRunRequested(id=f"monthly:{period}", cycle="monthly", period=period, rerun=rerun, requested_at=ASKED_AT)


async def test_every_open_account_of_the_cycle_is_cut_in_its_own_zone(office: Office):
    await office.tell(
        account("ada"),
        account("bob", time_zone="America/New_York"),
        account("cid", cycle="weekly"),
        account("dan", state=AccountState.CLOSED, changed_at=datetime(2025, 11, 27, tzinfo=UTC)),
    )
    await office.tell(requested())
    cuts = {cut.account_id: cut for cut in await office.cuts()}
    assert {name: cut.period for name, cut in cuts.items()} == {
        "ada": calendar_month("2026-03", "Europe/Madrid"),
        "bob": calendar_month("2026-03", "America/New_York"),
    }
    assert {(cut.run_type, cut.cause_id, cut.requested_at) for cut in cuts.values()} == {(ON_CYCLE, RUN_ID, ASKED_AT)}
    run = await office.run()
    assert (run.state, run.counts.accounts) == (BillRunState.RUNNING, 2)


async def test_accounts_with_ids_and_cycles_of_any_kind_are_cut_once_each_under_the_derived_id(office: Office):
    # The last two and the first: joined by bars alone, ids of one run would be ids of another.
    cycles = ("m", "50%", "a%7Cb", "y" * 240, "m:2026-03|x")
    ids = ("c", "a|b", "a%7Cb", "50%", "z" * 240, "z" * 250)
    accounts = {f"{number}{id}": cycle for number, cycle in enumerate(cycles[:-1]) for id in ids}
    accounts |= {"x:2026-03|c": "m", "c": "m:2026-03|x"}
    await office.tell(*(account(id, cycle=cycle) for id, cycle in accounts.items()))
    asked = [BillRunRequested(id=f"{cycle}:2026-03", cycle=cycle, period="2026-03", requested_at=ASKED_AT) for cycle in cycles]
    for _ in range(2):
        await office.tell(*asked)
    cuts = {cut.account_id: cut for cut in await office.cuts()}
    assert {id: cut.cause_id for id, cut in cuts.items()} == {id: f"{cycle}:2026-03" for id, cycle in accounts.items()}
    assert {id: cut.id for id, cut in cuts.items()} == {id: run_account_id(f"{cycle}:2026-03", id) for id, cycle in accounts.items()}
    assert len({cut.id for cut in cuts.values()}) == len(accounts)
    assert await office.service.database["run_accounts"].count_documents({}) == len(accounts)


async def test_an_account_that_was_closed_lately_is_billed_as_well(office: Office):
    closed_at = datetime(2026, 3, 10, tzinfo=UTC)
    await office.tell(account("ada", state=AccountState.CLOSED, changed_at=closed_at, revision=2))
    await office.tell(account("ada", changed_at=closed_at - timedelta(days=9)))
    await office.tell(account("ada", state=AccountState.CLOSED, revision=3, name="Ada the late", changed_at=ASKED_AT))
    await office.tell(requested("2026-01"), requested("2026-03"))
    assert {cut.cause_id: (cut.account_id, cut.account_closed_at) for cut in await office.cuts()} == {
        "monthly:2026-01": ("ada", closed_at),
        "monthly:2026-03": ("ada", closed_at),
    }
    await office.tell(requested("2026-07").model_copy(update={"requested_at": datetime(2026, 8, 3, tzinfo=UTC)}))
    assert (await office.run("monthly:2026-07")).state is BillRunState.REFUSED


async def test_outcomes_are_counted_once_and_the_last_completes_the_run(office: Office):
    await office.tell(*(account(name) for name in ("ada", "bob", "cid", "dan")))
    await office.tell(requested())
    bill = issued("ada", RUN_ID, ON_CYCLE, "12.10")
    await office.tell(bill, issued("bob", RUN_ID, ON_CYCLE, "0.90"), skipped("cid", RUN_ID, ON_CYCLE))
    await office.tell(bill, bill)
    run = await office.run()
    assert (run.counts.billed, run.counts.skipped, run.counts.amounts) == (2, 1, {"EUR": Decimal("13.00")})
    assert (run.state, run.completed_at) == (BillRunState.RUNNING, None)
    await office.tell(parked("dan", RUN_ID, ON_CYCLE, "no tax rate"))
    run = await office.run()
    assert (run.state, run.counts.parked) == (BillRunState.COMPLETED, 1)
    assert run.completed_at is not None
    assert (await office.changes())[-1] == run


async def test_the_same_command_twice_changes_nothing(office: Office):
    await office.tell(account("ada"))
    await office.tell(requested())
    await office.tell(issued("ada", RUN_ID, ON_CYCLE))
    run, cuts = await office.run(), await office.cuts()
    await office.tell(account("late"))
    await office.tell(requested(), requested())
    assert await office.run() == run
    assert await office.cuts() == cuts
    assert (await office.changes())[-1] == run


async def test_a_repeated_request_cuts_again_only_what_has_no_outcome(office: Office):
    await office.tell(account("ada"), account("bob"))
    await office.tell(requested())
    first = {cut.account_id: cut for cut in await office.cuts()}
    await office.tell(issued("ada", RUN_ID, ON_CYCLE))
    await office.tell(requested())
    repeats = await office.cuts()
    assert len(repeats) == 3
    assert [cut for cut in repeats if cut.account_id == "bob"] == [first["bob"]] * 2


async def test_a_rerun_cuts_the_parked_accounts_only_under_the_same_ids(office: Office):
    await office.tell(account("ada"), account("bob"), account("cid"))
    await office.tell(requested())
    first = {cut.account_id: cut for cut in await office.cuts()}
    await office.tell(issued("ada", RUN_ID, ON_CYCLE), parked("bob", RUN_ID, ON_CYCLE), refused("cid", RUN_ID, ON_CYCLE))
    await office.tell(requested(rerun=1), requested(rerun=1))
    run = await office.run()
    assert (run.state, run.attempt, run.counts.billed, run.counts.parked) == (BillRunState.RUNNING, 1, 1, 0)
    cuts = await office.cuts()
    assert {cut.account_id for cut in cuts[3:]} <= {"ada", "bob", "cid"}
    assert [cut for cut in cuts if cut.account_id == "ada"] == [first["ada"]]
    assert {cut.id for cut in cuts} == {cut.id for cut in first.values()}
    await office.tell(issued("bob", RUN_ID, ON_CYCLE, "1.00"), parked("cid", RUN_ID, ON_CYCLE, "unknown account"))
    run = await office.run()
    assert (run.state, run.counts.billed, run.counts.parked) == (BillRunState.COMPLETED, 2, 1)
    assert run.counts.amounts == {"EUR": Decimal("13.10")}


async def test_a_parked_account_billed_without_a_rerun_moves(office: Office):
    await office.tell(account("ada"))
    await office.tell(requested())
    await office.tell(parked("ada", RUN_ID, ON_CYCLE))
    await office.tell(issued("ada", RUN_ID, ON_CYCLE))
    run = await office.run()
    assert (run.counts.billed, run.counts.parked, run.state) == (1, 0, BillRunState.COMPLETED)


async def test_an_account_in_no_known_zone_is_parked_and_the_run_goes_on(office: Office):
    await office.tell(account("ada"), account("lost", time_zone="Europe/Atlantis"))
    await office.tell(requested())
    await office.tell(issued("ada", RUN_ID, ON_CYCLE))
    run = await office.run()
    assert (run.state, run.counts.billed, run.counts.parked) == (BillRunState.COMPLETED, 1, 1)
    (told,) = await read_facts(office.service.settings, AccountParked)
    assert told.account_id == "lost"


async def test_a_senseless_period_is_refused_with_the_reason(office: Office):
    await office.tell(account("ada"))
    await office.tell(requested("2026-13"))
    run = await office.run("monthly:2026-13")
    assert (run.state, run.reason) == (BillRunState.REFUSED, "'2026-13' is not a month written as YYYY-MM")
    assert await office.cuts() == []


async def test_a_run_refused_for_want_of_accounts_may_be_asked_for_again(office: Office):
    await office.tell(requested())
    assert (await office.run()).reason == "no open account has the cycle monthly"
    await office.tell(account("ada"))
    await office.tell(requested())
    run = await office.run()
    assert (run.state, run.counts.accounts, run.reason) == (BillRunState.RUNNING, 1, None)


async def test_a_run_interrupted_while_it_was_taking_its_accounts_begins_anew(office: Office):
    await office.tell(account("ada"), account("bob"))
    # What a crash leaves between the accounts and the run: one account was copied, the run was not stored.
    await office.service.database["run_accounts"].insert_one(
        {"_id": f"{RUN_ID}|ada", "run_id": RUN_ID, "account_id": "ada", "time_zone": "Europe/Madrid", "outcome": None}
    )
    await office.tell(requested())
    assert (await office.run()).counts.accounts == 2
    assert {cut.account_id for cut in await office.cuts()} == {"ada", "bob"}


async def test_outcomes_of_strangers_pass_by(office: Office):
    await office.tell(account("ada"))
    await office.tell(requested())
    run = await office.run()
    await office.tell(issued("ada", "r1", RunType.OFF_CYCLE), issued("bob", "monthly:2026-02", ON_CYCLE))
    assert await office.run() == run

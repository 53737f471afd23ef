"""`tarifa bill-run` as a process beside operations; the test plays rating and invoicing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from libs.contracts import Fact, PeriodCut, RunType
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lag import lag_reader
from tests.command_line import run_tarifa
from tests.outcomes import account, issued, parked, passed_over
from tests.world import build_service, read_facts

RUN_ID = "monthly:2026-03"
Tell = Callable[..., Awaitable[None]]


@pytest.fixture
async def operations(settings: RuntimeSettings) -> AsyncIterator[Service]:
    service = build_service("operations", settings)
    async with service.running():
        yield service


@pytest.fixture
async def tell(operations: Service) -> AsyncIterator[Tell]:
    async with lag_reader(operations.settings) as lag:

        async def settled(*facts: Fact) -> None:
            await operations.publish(facts)
            await lag.settled(30)

        yield settled


async def cut_accounts(settings: RuntimeSettings, count: int) -> None:
    async with asyncio.timeout(120):
        while len(await read_facts(settings, PeriodCut)) < count:
            await asyncio.sleep(0.05)


async def test_a_run_is_started_watched_shown_again_and_its_parked_accounts_run_again(operations: Service, tell: Tell):
    settings = operations.settings
    await tell(account("ada"), account("bob"))
    watching = asyncio.create_task(run_tarifa(settings, "bill-run", "--period", "2026-03", "--json"))
    await cut_accounts(settings, 2)
    await tell(issued("ada", RUN_ID, RunType.ON_CYCLE, "12.10"), parked("bob", RUN_ID, RunType.ON_CYCLE, "no tax rate"))
    first = await watching
    assert first.exit_code == 1, first.err
    assert first.json["state"] == "completed"
    assert first.json["counts"] == {
        "accounts": 2,
        "billed": 1,
        "skipped": 0,
        "parked": 1,
        "fees_not_charged": 0,
        "amounts": {"EUR": "12.10"},
    }
    assert first.json["parked"] == [{"account_id": "bob", "reason": "no tax rate"}]
    assert "1 accounts are parked" in first.err

    again = await run_tarifa(settings, "bill-run", "--cycle", "monthly", "--period", "2026-03", "--json")
    assert (again.exit_code, again.json) == (1, first.json)
    assert len(await read_facts(settings, PeriodCut)) == 2

    rerunning = asyncio.create_task(run_tarifa(settings, "bill-run", "--rerun", RUN_ID))
    await cut_accounts(settings, 3)
    await tell(passed_over("bob", RUN_ID), issued("bob", RUN_ID, RunType.ON_CYCLE, "0.90"))
    second = await rerunning
    assert second.exit_code == 0, second.err
    assert "attempt 1: 2 accounts, 2 billed (13.00 EUR), 0 skipped, 0 parked" in second.out

    nothing = await run_tarifa(settings, "bill-run", "--rerun", RUN_ID)
    assert nothing.exit_code == 0
    assert "nothing is asked for again" in nothing.err
    shown = await run_tarifa(settings, "bill-run", "show", RUN_ID, "--json")
    assert (shown.exit_code, shown.json["attempt"], shown.json["counts"]["fees_not_charged"]) == (0, 1, 1)
    fees = [fee.model_dump(mode="json") for fee in passed_over("bob", RUN_ID).fees]
    assert shown.json["fees_not_charged"] == [{"account_id": "bob", "fees": fees}]
    for_people = await run_tarifa(settings, "bill-run", "show", RUN_ID)
    assert "1 accounts have fees that no cut charges" in for_people.out
    assert "bob rental of product line-1, 13 periods from 2024-01-01 to 2025-01-31" in " ".join(for_people.out.split())
    listed = await run_tarifa(settings, "bill-run", "list", "--json")
    assert [run["id"] for run in listed.json] == [RUN_ID]


async def test_a_refused_run_says_why_and_fails(operations: Service, tell: Tell):
    await tell(account("ada"))
    outcome = await run_tarifa(operations.settings, "bill-run", "--period", "march")
    assert outcome.exit_code == 1
    assert "run monthly:march was refused: 'march' is not a month written as YYYY-MM" in outcome.err


async def test_a_run_that_never_was_cannot_be_run_again(operations: Service):
    outcome = await run_tarifa(operations.settings, "bill-run", "--rerun", "monthly:2020-01")
    assert outcome.exit_code == 1
    assert "there is no run monthly:2020-01" in outcome.err


async def test_the_command_asks_for_a_period_or_a_run(operations: Service):
    outcome = await run_tarifa(operations.settings, "bill-run")
    assert outcome.exit_code == 2
    assert "--period" in outcome.err

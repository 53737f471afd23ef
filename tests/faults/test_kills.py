"""Real processes die by SIGKILL under load, and so do the Kafka and the MongoDB they need: nothing is lost, nothing doubled."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from tests.faults.clean import assert_audit_is_clean
from tests.faults.live_stack import LiveCustomer, LiveStack, identifiers
from tests.faults.load import SLICE_S, ask, call

# The first half is only billed by the run; the others ask for bills on demand all the while.
CUSTOMERS = 12
NOT_ASKING, ASKING = slice(CUSTOMERS // 2), slice(CUSTOMERS // 2, None)
# In an order in which those that still live give work to the next.
VICTIMS = ("ledger", "tmf_gateway", "invoicing", "rating", "on_demand_bill")


async def storm(live: LiveStack, cycle: str, kill: Callable[[], Awaitable[None]], kill_in_run: Callable[[], Awaitable[None]]) -> None:
    """Usage and requests while `kill` runs, and a bill run on top while `kill_in_run` does; then everything must be right."""
    customers = await live.customers(CUSTOMERS, cycle)
    await live.publish(*(call for customer in customers for call in customer.calls(1)))
    await live.settle()
    over = asyncio.Event()
    load = asyncio.gather(call(live, customers, over), ask(live, customers[ASKING], over))
    try:
        await kill()
        run, _ = await asyncio.gather(live.run_cycle(cycle), kill_in_run())
    finally:
        over.set()
        await load
    await live.settle()
    await assert_all_is_counted_once(live, customers, run)
    await assert_audit_is_clean(live.settings)


async def assert_all_is_counted_once(live: LiveStack, customers: Sequence[LiveCustomer], run: dict) -> None:
    """Every usage was rated once, every account billed once by the run, and every request has ended."""
    of_these = {"account_id": {"$in": identifiers(customers)}}
    made = {usage.id for customer in customers for usage in customer.usages}
    rated = {document["_id"] async for document in live.collection("rating", "usage").find(of_these, {"_id": 1})}
    assert rated == made
    charges = [charge async for charge in live.collection("rating", "charges").find(of_these)]
    assert sum(charge["usage_count"] for charge in charges) == len(made)
    assert {charge["state"] for charge in charges} <= {"open", "billed"}
    counts = run["counts"]
    assert (counts["accounts"], counts["billed"] + counts["skipped"], counts["parked"]) == (CUSTOMERS, CUSTOMERS, 0)
    bills = [bill async for bill in live.collection("invoicing", "bills").find(of_these, {"account_id": 1, "run_type": 1})]
    of_the_cycle = Counter(bill["account_id"] for bill in bills if bill["run_type"] == "onCycle")
    assert set(of_the_cycle.values()) == {1}
    assert of_the_cycle.total() == counts["billed"]
    assert set(identifiers(customers[NOT_ASKING])) <= of_the_cycle.keys()
    assert {bill["account_id"] for bill in bills} == set(identifiers(customers))
    requests = Counter([request["state"] async for request in live.collection("tmf_gateway", "on_demand_requests").find(of_these)])
    assert requests["done"] > 0
    assert set(requests) <= {"done", "rejected"}, requests


@pytest.mark.parametrize("time", ["first", "second", "third"])
async def test_services_killed_in_turn_while_they_work_lose_nothing_and_double_nothing(live: LiveStack, time: str) -> None:
    async def kill() -> None:
        for victim in VICTIMS:
            await live.kill_at_work(victim)

    async def kill_in_run() -> None:
        await live.kill_at_work("operations")

    await storm(live, f"{time}-kills", kill, kill_in_run)


@pytest.mark.parametrize("server", ["kafka", "mongodb"])
async def test_a_server_killed_twice_under_load_is_missed_and_nothing_is_lost_or_doubled(live: LiveStack, server: str) -> None:
    program = getattr(live.infrastructure, server)

    async def kill() -> None:
        while not await live.has_work():
            await asyncio.sleep(SLICE_S)
        await program.kill()
        # Whoever starts now must wait, and say what for.
        await live.services["ledger"].kill()
        live.services["ledger"].launch()
        assert server in (await live.services["invoicing"].missing() or "")
        await program.start()

    await storm(live, f"{server}-kills", kill, kill)

"""The audit of a system at work: usages are rated, cuts made and bills issued all the while, and it finds nothing wrong."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from libs.audit import Findings, audit
from libs.devstack.settings import PROJECT_ROOT
from libs.pricing import load_rate_books
from libs.runtime import RuntimeSettings
from tests.world import AUDITED_AT, Customer, World

BOOKS = load_rate_books(PROJECT_ROOT / "deploy" / "rate-books")
CUSTOMERS = 4
CALLS_AT_A_TIME = 20
# Between two slices of calls, which the services handle meanwhile.
PACE_S = 0.1


async def findings_of(settings: RuntimeSettings) -> Findings:
    return await audit(settings, BOOKS, lambda subject: None, as_of=AUDITED_AT)


@asynccontextmanager
async def writing(customers: Sequence[Customer]) -> AsyncIterator[None]:
    """Customers call all the time, and half of them ask for one bill after the other."""
    over = asyncio.Event()

    async def call() -> None:
        for day in itertools.cycle(range(1, 29)):
            for customer in customers:
                await customer.calls(at=f"2026-03-{day:02} 17:59", seconds=61, count=CALLS_AT_A_TIME)
            await asyncio.sleep(PACE_S)
            if over.is_set():
                return

    async def ask(customer: Customer) -> None:
        while not over.is_set():
            await customer.bill_on_demand()

    at_work = asyncio.gather(call(), *(ask(customer) for customer in customers[::2]))
    try:
        yield
    finally:
        over.set()
        await at_work


async def counts(world: World) -> tuple[int, int]:
    usages = await world.services["rating"].database["usage"].count_documents({})
    return usages, await world.services["invoicing"].database["bills"].count_documents({})


async def test_the_audit_is_clean_while_usages_are_rated_and_cuts_are_made(world: World) -> None:
    customers = [await world.customer(f"Customer {number}") for number in range(CUSTOMERS)]
    async with writing(customers):
        before = await counts(world)
        findings = await findings_of(world.settings)
        after = await counts(world)
    assert findings.differences == []
    assert all(now > then for now, then in zip(after, before, strict=True)), "nothing was written meanwhile"
    await world.settle()
    findings = await findings_of(world.settings)
    assert (findings.differences, findings.moving) == ([], {})
    assert (findings.checked["usages"], findings.checked["bills"]) == await counts(world)

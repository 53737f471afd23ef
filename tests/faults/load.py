"""What customers do while things break: they call and ask for bills, all the while."""

import asyncio
from collections.abc import Sequence

from tests.faults.live_stack import LiveCustomer, LiveStack
from tests.world import TMF678

CALLS_PER_SLICE = 5
SLICE_S = 0.1


async def call(live: LiveStack, customers: Sequence[LiveCustomer], is_over: asyncio.Event) -> None:
    """Every customer calls and calls."""
    while not is_over.is_set():
        await live.publish(*(call for customer in customers for call in customer.calls(CALLS_PER_SLICE)))
        await asyncio.sleep(SLICE_S)


async def ask(live: LiveStack, customers: Sequence[LiveCustomer], is_over: asyncio.Event) -> None:
    """One customer after the other asks for a bill."""
    while not is_over.is_set():
        for customer in customers:
            await live.post(f"{TMF678}/customerBillOnDemand", {"billingAccount": {"id": customer.account_id}})
            await asyncio.sleep(SLICE_S)

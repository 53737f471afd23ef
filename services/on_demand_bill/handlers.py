"""What on_demand_bill does with each fact: remember accounts, start requests, complete them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from libs.contracts import AccountChanged, AccountParked, BillIssued, BillSkipped, CutRefused, Fact, OnDemandBillRequested, RunType
from libs.runtime import Batch
from libs.runtime.lifetime.uninterrupted import uninterrupted
from services.on_demand_bill.domain.on_demand_request import accept, answer, conclude, cut
from services.on_demand_bill.store import OnDemandStore

logger = structlog.get_logger(__name__)


async def remember_accounts(batch: Batch[AccountChanged], *, store: OnDemandStore) -> Sequence[Fact]:
    """Keep what a request must know of its account."""
    await store.remember_accounts(batch)
    return []


async def start_on_demand_bills(batch: Batch[OnDemandBillRequested], *, store: OnDemandStore) -> Sequence[Fact]:
    """Answer each request with its cut, or with its end when it has one; a repeated request gets the same answer."""
    asked = {request.id: request for request in batch}
    known = await store.requests(asked)
    fresh = [request for request in asked.values() if request.id not in known]
    states = await store.account_states(request.account_id for request in fresh)
    accepted = [accept(request, states.get(request.account_id), batch.received_at) for request in fresh]
    await store.add(accepted)
    # As they are stored: another instance may have started one meanwhile, and then its answer is the one to repeat.
    started = await store.requests(request.id for request in accepted)
    return [answer(request) for request in (*known.values(), *started.values())]


async def complete_on_demand_bills(
    batch: Batch[BillIssued | BillSkipped | AccountParked | CutRefused], *, store: OnDemandStore, grace: timedelta
) -> Sequence[Fact]:
    """Give requests the end that their cut came to; outcomes of anything else, such as bill runs, pass by."""
    outcomes = [outcome for outcome in batch if outcome.run_type is RunType.OFF_CYCLE]
    if not outcomes:
        return []
    found = await store.requests(outcome.cause_id for outcome in outcomes)
    concluded = dict(found)
    for outcome in outcomes:
        if outcome.cause_id in concluded:
            concluded[outcome.cause_id] = conclude(concluded[outcome.cause_id], outcome, batch.received_at, grace)
    await store.update([request for request in concluded.values() if request is not found[request.id]])
    # As they are stored: another instance may have ended one meanwhile, and then its word is the one to tell.
    stored = await store.requests(found)
    return [answer(request) for request in stored.values() if not request.is_running]


async def ask_refused_again(*, store: OnDemandStore, publish: Callable[[Iterable[Fact]], Awaitable[None]], pause: timedelta) -> None:
    """For ever: publish the cut of each refused request again once `pause` has gone by."""
    while True:
        await asyncio.sleep(pause.total_seconds())
        try:
            due = await uninterrupted(store.refused_before(datetime.now(UTC) - pause))
            await publish([cut(request) for request in due])
            await uninterrupted(store.asked_again(due))
        except (KafkaError, PyMongoError) as error:
            logger.warning("refused cuts not asked again, will retry", reason=repr(error))

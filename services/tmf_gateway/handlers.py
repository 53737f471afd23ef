"""Handlers of the gateway: end on-demand requests, wake clients that wait, raise hub events of bills in order."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime

from libs.contracts import (
    BillDocumentRendered,
    BillIssued,
    BillPreviewed,
    BillPreviewRefused,
    BillStateChanged,
    BillStateRefused,
    Fact,
    HubEventRaised,
    OnDemandBillCompleted,
    TariffAccepted,
    TariffRefused,
)
from libs.runtime import Batch, to_document
from services.tmf_gateway.answers import Answers
from services.tmf_gateway.domain.changes import change_event
from services.tmf_gateway.domain.events import event_type, hub_event
from services.tmf_gateway.domain.launching import answered_offering
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.shown_books import shown_books
from services.tmf_gateway.domain.tmf620 import PRODUCT_OFFERING
from services.tmf_gateway.domain.tmf678 import BILL_ON_DEMAND, CUSTOMER_BILL, bill_on_demand, completed, customer_bill
from services.tmf_gateway.outbox import Outbox
from services.tmf_gateway.sources import Sources
from services.tmf_gateway.store import PRODUCT_OFFERINGS, GatewayStore

# A client may change an offering between reading and storing it; so many in a row mean that something else is wrong.
LOOKS_MAX = 20
_BILL_CREATED = event_type(CUSTOMER_BILL, "Create")


async def complete_requests(batch: Batch[OnDemandBillCompleted], *, store: GatewayStore, links: Links) -> Sequence[Fact]:
    """Give on-demand requests their end and raise its event; requests that others published pass by."""
    requests = await store.requests(completion.id for completion in batch)
    ended: dict[str, Document] = dict(requests)
    for completion in batch:
        if completion.id in ended:
            ended[completion.id] = completed(ended[completion.id], completion)
    await store.complete_requests([request for request in ended.values() if request is not requests[request["_id"]]])
    return [event for request in ended.values() for event in _events_until_its_end(request, links)]


async def publish_outbox(batch: Batch[Fact]) -> Sequence[Fact]:
    """Publish what the outbox had parked and an operator retries."""
    return batch.facts


async def hear_answers(
    batch: Batch[BillStateChanged | BillStateRefused | BillDocumentRendered | BillPreviewed | BillPreviewRefused], *, answers: Answers
) -> Sequence[Fact]:
    """Wake whoever waits for these in this process."""
    for answer in batch:
        answers.hear(answer)
    return []


async def raise_bill_events(batch: Batch[BillIssued | BillStateChanged], *, store: GatewayStore, links: Links) -> Sequence[Fact]:
    """Hub events of bills. The two facts come on topics of their own, so a change may arrive before its bill: then the
    bill is announced first, and its own announcement, coming later, repeats the same event."""
    announced = await store.announced_bills(change.bill.id for change in batch if isinstance(change, BillStateChanged))
    events = []
    for fact in sorted(batch, key=_happened_at):
        bill = fact if isinstance(fact, BillIssued) else fact.bill
        if bill.id not in announced:
            events.append(_bill_created(bill, links))
            announced.add(bill.id)
        if isinstance(fact, BillStateChanged):
            shown = customer_bill(to_document(bill), links)
            events.append(hub_event(CUSTOMER_BILL, "StateChange", shown, cause=fact.id, at=bill.last_update_at))
    return events


async def remember_announced(batch: Batch[HubEventRaised], *, store: GatewayStore) -> Sequence[Fact]:
    """A bill is announced once its Create event has come back from its topic. Remembered any sooner, a crash before the
    event was published would let a change go out first."""
    await store.remember_announced(event.resource_id for event in batch if event.event_type == _BILL_CREATED)
    return []


async def hear_tariffs(
    batch: Batch[TariffAccepted | TariffRefused], *, store: GatewayStore, outbox: Outbox, links: Links
) -> Sequence[Fact]:
    """Offerings learn what became of the rate books that they were published as; books of others pass by. The event lies in the
    offering's outbox, for an answer that comes again finds the offering as it left it."""
    for answer in batch:
        for _ in range(LOOKS_MAX):
            offering = await store.offering_published_as(answer.id)
            answered = answered_offering(offering, answer) if offering is not None else None
            if offering is None or answered is None or answered["revision"] == offering["revision"]:
                break
            events = [change_event(PRODUCT_OFFERING, answered, offering, links, state="lifecycleStatus")]
            if await store.replace(PRODUCT_OFFERINGS, answered, events):
                await outbox.send(PRODUCT_OFFERINGS, answered, events, outbox.left_behind(PRODUCT_OFFERINGS, offering))
                break
        else:
            raise RuntimeError(f"the offering published as {answer.id} was changed {LOOKS_MAX} times in a row")
    return []


async def show_tariffs(batch: Batch[TariffAccepted], *, store: GatewayStore, sources: Sources) -> Sequence[Fact]:
    """The catalogue shows what rate books say, too. All of them each time: a new book ends what the one before it says."""
    # A large book takes a second, and clients wait for this process.
    await store.show_books(*await asyncio.to_thread(shown_books, await sources.tariffs()))
    return []


def _events_until_its_end(request: Document, links: Links) -> Iterator[HubEventRaised]:
    """The end comes after the beginning: an event that still waits in the outbox goes first, and again from there."""
    waiting = [entry["message"] for entry in request["outbox"] if entry["topic"] == HubEventRaised.topic]
    yield from map(HubEventRaised.from_message, waiting)
    cause = f"{request['_id']}|{request['state']}"
    yield hub_event(BILL_ON_DEMAND, "StateChange", bill_on_demand(request, links), cause=cause, at=request["last_update_at"])


def _bill_created(bill: BillIssued, links: Links) -> HubEventRaised:
    return hub_event(CUSTOMER_BILL, "Create", customer_bill(to_document(bill), links), cause=bill.id, at=bill.bill_date)


def _happened_at(fact: BillIssued | BillStateChanged) -> datetime:
    return fact.last_update_at if isinstance(fact, BillIssued) else fact.bill.last_update_at

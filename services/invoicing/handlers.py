"""What invoicing does with each fact: find, decide, add, return."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import structlog

from libs.billing import BillDraft, BillTerms, assemble_bill, change_state
from libs.billing.bill import park
from libs.contracts import (
    AccountChanged,
    AccountParked,
    BillDocumentRendered,
    BillDocumentRequested,
    BillIssued,
    BillPreviewed,
    BillPreviewRefused,
    BillSkipped,
    BillStateRequested,
    ChargesClosed,
    ChargesPreviewed,
    Fact,
)
from libs.runtime import Batch, Unprocessable
from libs.runtime.metrics import GLYPHS_MISSING
from services.invoicing.accounts import AccountCopies
from services.invoicing.documents import DocumentStore
from services.invoicing.rendering import RenderedBill, render_bill
from services.invoicing.store import BillStore

logger = structlog.get_logger(__name__)


async def remember_accounts(batch: Batch[AccountChanged], *, accounts: AccountCopies) -> Sequence[Fact]:
    """Keep what a bill needs to know of its account."""
    await accounts.remember(batch)
    return []


async def issue_bills(batch: Batch[ChargesClosed], *, bills: BillStore, accounts: AccountCopies, terms: BillTerms) -> Sequence[Fact]:
    """Answer each cut with its bill, BillSkipped or AccountParked. What was not parked for good is decided anew when it comes again."""
    cuts = {charges.id: charges for charges in batch}
    decided = await bills.decided(cuts)
    fresh = [charges for charges in cuts.values() if charges.id not in decided]
    known = await accounts.find(charges.account_id for charges in fresh if charges.lines)
    outcomes = [assemble_bill(charges, known.get(charges.account_id), terms) for charges in fresh]
    kept = await bills.add([outcome for outcome in outcomes if isinstance(outcome, BillDraft)])
    parked = [outcome for outcome in outcomes if isinstance(outcome, AccountParked)]
    parked += [park(cuts[cut_id], refusal.reason, is_final=refusal.is_final) for cut_id, refusal in kept.refusals.items()]
    answers: dict[str, Fact] = {**decided, **kept.decided, **await bills.park(parked)}
    answers |= {outcome.id: outcome for outcome in outcomes if isinstance(outcome, BillSkipped)}
    return [answers[cut_id] for cut_id in cuts]


async def preview_bills(batch: Batch[ChargesPreviewed], *, accounts: AccountCopies, terms: BillTerms) -> Sequence[Fact]:
    """Answer each preview with the bill that would be issued, or why none would be. Nothing is stored and no number is used."""
    known = await accounts.find(previewed.charges.account_id for previewed in batch if previewed.charges.lines)
    return [_previewed(previewed, known.get(previewed.charges.account_id), terms) for previewed in batch]


def _previewed(previewed: ChargesPreviewed, account: AccountChanged | None, terms: BillTerms) -> BillPreviewed | BillPreviewRefused:
    asked = {"id": previewed.id, "request_id": previewed.id, "account_id": previewed.account_id}
    match assemble_bill(previewed.charges, account, terms):
        case BillDraft(unnumbered=bill):
            return BillPreviewed(**asked, bill=bill)
        case BillSkipped():
            return BillPreviewRefused(**asked, reason="nothing to bill")
        case AccountParked(reason=reason):
            return BillPreviewRefused(**asked, reason=reason)


async def change_bill_states(batch: Batch[BillStateRequested], *, bills: BillStore) -> Sequence[Fact]:
    """Answer each request for a state with what became of the bill; once decided, the answer stays.

    Bills side by side, because clients wait; the requests of one bill in their order.
    """
    of_bill: defaultdict[str, list[BillStateRequested]] = defaultdict(list)
    for request in batch:
        of_bill[request.bill_id].append(request)
    answers = await asyncio.gather(*(_move_bill(requests, bills, batch.received_at) for requests in of_bill.values()))
    return [answer for answers_of_bill in answers for answer in answers_of_bill]


async def _move_bill(requests: Sequence[BillStateRequested], bills: BillStore, at: datetime) -> list[Fact]:
    return [await bills.answer_state(request, partial(change_state, request=request, at=at)) for request in requests]


async def render_documents(batch: Batch[BillDocumentRequested], *, bills: BillStore, documents: DocumentStore) -> Sequence[Fact]:
    """Render each document that was not rendered yet, and tell where it lies."""
    return [await _rendered(request, batch.received_at, bills, documents) for request in batch]


async def _rendered(request: BillDocumentRequested, at: datetime, bills: BillStore, documents: DocumentStore) -> BillDocumentRendered:
    bill = await bills.find(request.bill_id)
    if bill is None or bill.account_id != request.account_id:
        raise Unprocessable(f"there is no bill {request.bill_id} on account {request.account_id}")
    (document,) = bill.documents
    size_bytes = await documents.size_bytes(document.id)
    if size_bytes is None:
        size_bytes = await documents.add(document, await _render(bill), bill.id, at)
    elif request.is_anew and await documents.lacks_glyphs(document.id):
        size_bytes = await documents.replace(document, await _render(bill), bill.id, at)
    return BillDocumentRendered(
        id=request.id,
        request_id=request.id,
        bill_id=bill.id,
        account_id=bill.account_id,
        document_id=document.id,
        size_bytes=size_bytes,
    )


async def _render(bill: BillIssued) -> RenderedBill:
    # In a thread: Typst takes milliseconds that other handlers of this process need not wait for.
    rendered = await asyncio.to_thread(render_bill, bill)
    if rendered.missing_glyphs:
        GLYPHS_MISSING.inc(len(rendered.missing_glyphs))
        logger.warning("no font has glyphs for texts of a bill", bill_id=bill.id, texts=rendered.missing_glyphs)
    return rendered

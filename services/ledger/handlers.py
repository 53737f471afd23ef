"""What the ledger does with each fact: decide the entry, add it once."""

from collections.abc import Sequence

from libs.contracts import BillIssued, Fact
from libs.runtime import Batch, Unprocessable
from services.ledger.domain.entry import UnbalancedEntry, post_bill
from services.ledger.store import LedgerStore


async def post_bills(batch: Batch[BillIssued], *, store: LedgerStore) -> Sequence[Fact]:
    """Post each bill once, however often it is told. One that does not add up is parked: no entry may be off balance."""
    try:
        entries = [post_bill(bill) for bill in batch]
    except UnbalancedEntry as error:
        raise Unprocessable(str(error)) from error
    await store.add(entries)
    return []

"""What the ledger does with each fact: decide the entry, add it once."""

from collections.abc import Sequence

from libs.contracts import BillIssued, Fact
from libs.runtime import Batch
from services.ledger.domain.entry import post_bill
from services.ledger.store import LedgerStore


async def post_bills(batch: Batch[BillIssued], *, store: LedgerStore) -> Sequence[Fact]:
    """Post each bill once, however often it is told."""
    await store.add([post_bill(bill) for bill in batch])
    return []

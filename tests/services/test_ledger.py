"""The ledger alone on real Kafka and MongoDB: bills become entries once, and balances follow from entries."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from libs.billing import BillDraft, assemble_bill
from libs.contracts import BillIssued, ChargesClosed, Fact
from libs.runtime import RuntimeSettings, Service, from_document
from libs.runtime.lag import LagReader, lag_reader
from services.ledger.domain.entry import Entry, receivables
from tests.closings import TERMS, closed, on_demand
from tests.outcomes import account
from tests.world import build_service

WAIT_S = 30.0


@dataclass(frozen=True)
class Books:
    """The service, and the hands that feed it."""

    service: Service
    lag: LagReader

    async def tell(self, *facts: Fact) -> None:
        await self.service.publish(facts)
        await self.lag.settled(WAIT_S)

    async def entries(self) -> list[Entry]:
        return [from_document(Entry, entry) async for entry in self.service.database["entries"].find().sort("_id", 1)]

    async def balances(self) -> dict[tuple[str, str], Decimal]:
        found = self.service.database["balances"].find()
        return {(balance["account_id"], balance["currency"]): balance["receivable"] async for balance in found}


@pytest.fixture
async def books(settings: RuntimeSettings) -> AsyncIterator[Books]:
    service = build_service("ledger", settings)
    async with service.running(), lag_reader(settings) as lag:
        yield Books(service, lag)


def bill_of(charges: ChargesClosed, bill_no: str) -> BillIssued:
    owner = account(charges.account_id, currency=charges.currency)
    draft = assemble_bill(charges, owner, TERMS)
    assert isinstance(draft, BillDraft), draft
    return draft.numbered(bill_no)


async def test_a_bill_becomes_one_balanced_entry_and_moves_the_balance(books: Books):
    await books.tell(bill_of(closed("ada", "100.00"), "2026-00000001"))
    (entry,) = await books.entries()
    assert entry.id == "bill:ada.2026-03-01.onCycle"
    assert [(posting.ledger_account, posting.tax_category, posting.amount) for posting in entry.postings] == [
        ("receivable", None, Decimal("121.00")),
        ("revenue", None, Decimal("-100.00")),
        ("tax", "standard", Decimal("-21.00")),
    ]
    assert await books.balances() == {("ada", "EUR"): Decimal("121.00")}

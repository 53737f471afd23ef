"""What was billed to the demo's customers, read from invoicing's bills (read-only)."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from libs.contracts import BillIssued
from libs.demo.churn import PRICE_IDS, Band
from libs.runtime import RuntimeSettings, from_document
from libs.runtime.mongo import connect, database

BANDS_BY_PRICE = {price_id: band for band, price_id in PRICE_IDS.items()}


@dataclass(frozen=True)
class Billed:
    """`amounts` before tax by customer number and band, over all bills of the customer; `usage_count` calls are on them."""

    bill_count: int
    usage_count: int
    amounts: Mapping[tuple[int, Band], Decimal]


async def read_billed(settings: RuntimeSettings, account_ids: Mapping[int, str]) -> Billed:
    """The bills of these accounts, given by customer number. Raises KeyError for a line that is not one of the demo's prices."""
    client = connect(settings)
    try:
        numbers = {account_id: number for number, account_id in account_ids.items()}
        bills = database(client, settings, "invoicing")["bills"].find({"account_id": {"$in": list(numbers)}})
        amounts: dict[tuple[int, Band], Decimal] = defaultdict(Decimal)
        bill_count = usage_count = 0
        async for document in bills:
            bill = from_document(BillIssued, document)
            bill_count += 1
            for line in bill.lines:
                amounts[numbers[bill.account_id], BANDS_BY_PRICE[line.price_id]] += line.amount
                usage_count += line.usage_count
        return Billed(bill_count, usage_count, amounts)
    finally:
        await client.close()

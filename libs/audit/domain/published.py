"""A published bill against the stored one, and messages that were deleted before they were read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from libs.audit.domain.difference import Category, Difference
from libs.contracts import BillIssued


@dataclass(frozen=True, slots=True)
class UnreadGap:
    """Messages that Kafka deleted before a handler had read them."""

    id: str
    message_count: int


def check_published(bill: BillIssued, stored: Mapping[str, Any] | None) -> Iterator[Difference]:
    """Yield what differs between a bill as customers and the ledger were told it and the bill that is stored."""
    told = f"number {bill.bill_no}, {bill.tax_included_amount} {bill.currency}, account {bill.account_id}"
    if stored is None:
        yield Difference(category=Category.BILL_PUBLISHED, id=bill.id, expected=f"{told}, as published", found="no such bill is stored")
        return
    found = f"number {stored['bill_no']}, {stored['tax_included_amount']} {stored['currency']}, account {stored['account_id']}"
    same = (
        stored["bill_no"] == bill.bill_no
        and stored["tax_included_amount"] == bill.tax_included_amount
        and (stored["currency"], stored["account_id"]) == (bill.currency, bill.account_id)
    )
    if not same:
        yield Difference(category=Category.BILL_PUBLISHED, id=bill.id, expected=f"{told}, as published", found=found)


def unreadable_bills(message_count: int) -> Difference:
    """Return that messages of the topic of bills are no bills."""
    return Difference(
        category=Category.BILL_PUBLISHED,
        id=BillIssued.topic,
        expected="a bill in every message",
        found=f"{message_count} messages that cannot be read",
    )


def open_gap(gap: UnreadGap) -> Difference:
    """Messages that nobody has accounted for yet."""
    return Difference(
        category=Category.DELETED_UNREAD,
        id=gap.id,
        expected="every message read, or the gap closed with a reason (`tarifa gaps close`)",
        found=f"{gap.message_count} messages deleted by Kafka before they were read",
    )

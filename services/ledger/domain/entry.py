"""Double entry: what a bill makes owed, as postings that add up to zero.

A posting's amount is signed: debits are positive, credits negative. An entry is written once and never changed;
a correction is another entry. Its id is derived from its cause.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from libs.contracts import BillIssued, Record
from libs.contracts.derived_ids import fitting_id
from libs.contracts.fact import Id, Text
from libs.money import sum_exactly
from libs.periods import Instant


class LedgerAccount(StrEnum):
    """What a posting is booked on, for one billing account and currency."""

    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    TAX = "tax"
    DISCOUNT = "discount"


class EntryKind(StrEnum):
    """What caused an entry."""

    BILL = "bill"


class UnbalancedEntry(ValueError):
    """The postings of a bill do not add up to zero: whoever issued it is wrong, and it must not be booked."""


class Posting(Record):
    """`amount` is a debit when positive and a credit when negative; `tax_category` only for tax."""

    ledger_account: LedgerAccount
    tax_category: str | None = None
    amount: Decimal


class Entry(Record):
    """One cause and its postings (collection `entries`). A bill of zero has none and is remembered all the same."""

    id: Id
    kind: EntryKind
    account_id: Id
    currency: Id
    bill_id: Id
    bill_no: Id
    description: Text
    posted_at: Instant
    postings: tuple[Posting, ...]


def post_bill(bill: BillIssued) -> Entry:
    """Debit what the customer owes and what discounts after tax spare him, credit revenue and each tax. Raises UnbalancedEntry."""
    spared = -sum_exactly(discount.amount for discount in bill.discounts)
    postings = (
        Posting(ledger_account=LedgerAccount.RECEIVABLE, amount=sum_exactly([bill.tax_included_amount, -spared])),
        Posting(ledger_account=LedgerAccount.DISCOUNT, amount=spared),
        Posting(ledger_account=LedgerAccount.REVENUE, amount=-bill.tax_excluded_amount),
        *(Posting(ledger_account=LedgerAccount.TAX, tax_category=item.category, amount=-item.amount) for item in bill.tax_items),
    )
    entry = Entry(
        id=fitting_id(f"bill:{bill.id}"),
        kind=EntryKind.BILL,
        account_id=bill.account_id,
        currency=bill.currency,
        bill_id=bill.id,
        bill_no=bill.bill_no,
        description=f"Bill {bill.bill_no}",
        posted_at=bill.bill_date,
        postings=tuple(posting for posting in postings if posting.amount != 0),
    )
    total = sum_exactly(posting.amount for posting in entry.postings)
    if total != 0:
        raise UnbalancedEntry(f"entry {entry.id} is off balance by {total} {entry.currency}")
    return entry


def receivables(entries: Iterable[Entry]) -> dict[tuple[str, str], Decimal]:
    """What each (account, currency) owes according to its entries, each entry counted once; negative when it has credit."""
    owed: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for entry in entries:
        owed[entry.account_id, entry.currency] += [
            posting.amount for posting in entry.postings if posting.ledger_account is LedgerAccount.RECEIVABLE
        ]
    return {owner: sum_exactly(amounts) for owner, amounts in owed.items()}

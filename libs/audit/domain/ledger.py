"""Entries against the bills that caused them, and balances against their entries."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from libs.audit.domain.difference import Category, Difference
from libs.money import sum_exactly

Postings = dict[tuple[str, str | None], Decimal]


@dataclass(frozen=True, slots=True)
class BillTotals:
    """What a bill makes owed."""

    account_id: str
    currency: str
    tax_excluded_amount: Decimal
    tax_included_amount: Decimal
    taxes: Sequence[tuple[str, Decimal]]
    discounts: Sequence[Decimal] = ()


@dataclass(frozen=True, slots=True)
class BillEntry:
    """The entry of a bill: (ledger account, tax category, signed amount) per posting."""

    account_id: str
    currency: str
    postings: Sequence[tuple[str, str | None, Decimal]]


@dataclass(frozen=True, slots=True)
class Owed:
    """What is owed, as a stored balance or as the sum of entries."""

    receivable: Decimal
    entry_count: int


def check_entry(bill_id: str, bills: Sequence[BillTotals], entries: Sequence[BillEntry]) -> Iterator[Difference]:
    """Every bill has one entry with its amounts, on its account, that adds up to zero; no entry is without its bill."""
    if len(bills) != 1 or len(entries) != 1:
        yield _of_entry(bill_id, "one bill and one entry", f"{len(bills)} bills, {len(entries)} entries")
        return
    bill, entry = bills[0], entries[0]
    if (entry.account_id, entry.currency) != (bill.account_id, bill.currency):
        yield _of_entry(bill_id, f"account {bill.account_id} in {bill.currency}", f"account {entry.account_id} in {entry.currency}")
    expected = _added(
        [
            ("receivable", None, sum_exactly([bill.tax_included_amount, *bill.discounts])),
            ("revenue", None, -bill.tax_excluded_amount),
            ("discount", None, -sum_exactly(bill.discounts)),
            *(("tax", category, -amount) for category, amount in bill.taxes),
        ]
    )
    found = _added(entry.postings)
    if expected != found:
        yield _of_entry(bill_id, _shown(expected), _shown(found))
    total = sum_exactly(found.values())
    if total != 0:
        yield _of_entry(bill_id, "postings that add up to zero", f"off by {total}")


def check_balance(owner: str, sums: Sequence[Owed], balances: Sequence[Owed]) -> Iterator[Difference]:
    """A balance is the sum of its entries; `owner` is account and currency."""
    expected = sums[0] if sums else Owed(Decimal(0), 0)
    found = balances[0] if balances else Owed(Decimal(0), 0)
    if expected != found:
        yield Difference(
            category=Category.LEDGER_BALANCE,
            id=owner,
            expected=f"{expected.receivable} from {expected.entry_count} entries",
            found=f"{found.receivable} from {found.entry_count}",
        )


def _added(postings: Sequence[tuple[str, str | None, Decimal]]) -> Postings:
    amounts: defaultdict[tuple[str, str | None], list[Decimal]] = defaultdict(list)
    for ledger_account, category, amount in postings:
        amounts[ledger_account, category].append(amount)
    added = {place: sum_exactly(parts) for place, parts in amounts.items()}
    return {place: amount for place, amount in added.items() if amount != 0}


def _shown(postings: Postings) -> str:
    places = sorted(postings.items(), key=lambda posting: (posting[0][0], posting[0][1] or ""))
    return ", ".join(f"{account}{f' {category}' if category else ''} {amount}" for (account, category), amount in places) or "no postings"


def _of_entry(bill_id: str, expected: str, found: str) -> Difference:
    return Difference(category=Category.LEDGER_ENTRY, id=bill_id, expected=expected, found=found)

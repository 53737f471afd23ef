"""A bill against its own lines: totals and taxes computed again from amounts and rates."""

from collections.abc import Iterator

from libs.audit.domain.difference import Category, Difference
from libs.billing.invariants import broken_invariant
from libs.billing.taxes import Taxable, compute_taxes
from libs.contracts import BillIssued


def check_bill(bill: BillIssued) -> Iterator[Difference]:
    """Lines add up to the total without tax, and taxes to the total with it; each tax is what its rate makes of its lines."""
    broken = broken_invariant(bill)
    if broken is not None:
        yield Difference(category=Category.BILL_TOTALS, id=bill.id, expected="a bill that adds up", found=broken)
    rates = {item.category: item.rate for item in bill.tax_items}
    categories = [line.taxes[0].category if len(line.taxes) == 1 else None for line in bill.lines]
    taxables = [Taxable(category, line.amount) for category, line in zip(categories, bill.lines, strict=True) if category in rates]
    if len(taxables) < len(bill.lines):
        found = f"{len(bill.lines) - len(taxables)} lines with none of {', '.join(sorted(rates)) or 'no tax item'}"
        yield Difference(category=Category.BILL_TAX, id=bill.id, expected="one tax per line, among the bill's", found=found)
        return
    taxes = compute_taxes(taxables, rates, bill.currency)
    if taxes.items != bill.tax_items:
        expected = ", ".join(f"{item.category} {item.rate} % {item.amount}" for item in taxes.items)
        found = ", ".join(f"{item.category} {item.rate} % {item.amount}" for item in bill.tax_items)
        yield Difference(category=Category.BILL_TAX, id=bill.id, expected=expected, found=found)
    for line, share in zip(bill.lines, taxes.shares, strict=True):
        if line.taxes[0] != share:
            found = f"{line.taxes[0].rate} % {line.taxes[0].amount}"
            yield Difference(
                category=Category.BILL_TAX, id=bill.id, expected=f"{share.rate} % {share.amount} on {line.charge_id}", found=found
            )

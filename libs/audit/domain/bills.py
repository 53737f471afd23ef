"""A bill against its own lines: totals and taxes computed again from amounts and rates."""

from collections.abc import Iterable, Iterator

from libs.audit.domain.difference import Category, Difference
from libs.billing.invariants import broken_invariant
from libs.billing.taxes import Tax, TaxedAmount, levy_taxes
from libs.contracts import AppliedTax, BillIssued, BillLine
from libs.money import sum_exactly


def check_bill(bill: BillIssued) -> Iterator[Difference]:
    """Lines add up to the total without tax, and taxes to the total with it; each tax is what its rate makes of its lines."""
    broken = broken_invariant(bill)
    if broken is not None:
        yield Difference(category=Category.BILL_TOTALS, id=bill.id, expected="a bill that adds up", found=broken)
    known = {_tax(item) for item in bill.tax_items}
    strays = [line for line in bill.lines if not line.taxes or not known.issuperset(map(_tax, line.taxes))]
    if strays:
        found = f"{len(strays)} lines with none of {', '.join(sorted(tax.category for tax in known)) or 'no tax item'}"
        yield Difference(category=Category.BILL_TAX, id=bill.id, expected="taxes on every line, all among the bill's", found=found)
        return
    levy = levy_taxes([_taxed(line) for line in bill.lines], bill.currency)
    if levy.items != bill.tax_items:
        yield Difference(category=Category.BILL_TAX, id=bill.id, expected=_told(levy.items), found=_told(bill.tax_items))
    for line, shares in zip(bill.lines, levy.shares, strict=True):
        if line.taxes != shares:
            yield Difference(
                category=Category.BILL_TAX, id=bill.id, expected=f"{_told(shares)} on {line.charge_id}", found=_told(line.taxes)
            )


def _taxed(line: BillLine) -> TaxedAmount:
    # What was charged, when it includes the taxes: the line and its shares add up to it.
    amount = sum_exactly([line.amount, *(tax.amount for tax in line.taxes)]) if line.is_tax_included else line.amount
    return TaxedAmount(amount, tuple(map(_tax, line.taxes)), line.is_tax_included)


def _tax(applied: AppliedTax) -> Tax:
    return Tax(applied.category, applied.rate, applied.on)


def _told(taxes: Iterable[AppliedTax]) -> str:
    return ", ".join(f"{tax.category} {tax.rate} % {tax.amount}" for tax in taxes)

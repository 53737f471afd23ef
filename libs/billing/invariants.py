"""What must be true of every bill, checked on every bill before it gets a number, in production too."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from libs.contracts import BillIssued, ChargeLine
from libs.exact_decimal import BILL_LINE, KEPT, DecimalBounds, InvalidDecimal
from libs.money import minor_unit_decimals, sum_exactly

# 5,000 lines make about 3 MB, well under what Kafka and MongoDB take in one piece.
LINES_MAX = 5_000


def broken_invariant(bill: BillIssued) -> str | None:
    """The first invariant that the bill breaks, in words, or None."""
    return next(_broken(bill), None)


def _broken(bill: BillIssued) -> Iterator[str]:
    twice = [charge for charge, count in Counter(line.charge_id for line in bill.lines).items() if count > 1]
    if twice:
        yield f"charge {twice[0]} stands twice on the bill"
    taxes = sum_exactly(item.amount for item in bill.tax_items)
    lines = sum_exactly(line.amount for line in bill.lines)
    if lines != bill.tax_excluded_amount:
        yield f"lines add up to {lines}, not to the amount without tax {bill.tax_excluded_amount}"
    if sum_exactly([bill.tax_excluded_amount, taxes]) != bill.tax_included_amount:
        yield f"{bill.tax_excluded_amount} and tax {taxes} do not add up to the total {bill.tax_included_amount}"
    shares: dict[tuple[str, Decimal, tuple[str, ...]], list[Decimal]] = defaultdict(list)
    for tax in (tax for line in bill.lines for tax in line.taxes):
        shares[tax.category, tax.rate, tax.on].append(tax.amount)
    if {place: sum_exactly(amounts) for place, amounts in shares.items()} != {
        (item.category, item.rate, item.on): item.amount for item in bill.tax_items
    }:
        yield "the lines' shares of tax do not add up to the tax of each category"
    discounts = sum_exactly(discount.amount for discount in bill.discounts)
    if sum_exactly([bill.tax_included_amount, discounts]) != bill.amount_due:
        less = f" less discounts of {-discounts}" if bill.discounts else ""
        yield f"amount due {bill.amount_due} is not the total {bill.tax_included_amount}{less}"
    if any(discount.amount > 0 for discount in bill.discounts):
        yield "a discount raises what is due"


def unbillable_number(lines: Sequence[ChargeLine], currency: str) -> str | None:
    """Why a line's amount or quantity cannot stand on a bill in this currency, or None."""
    decimals = minor_unit_decimals(currency)
    for line in lines:
        # Exponents first: turning 1E+999999 into a fraction would take all memory.
        if not _bounded(line.amount, BILL_LINE):
            return f"charge {line.charge_id} amounts to {line.amount:.3E} {currency}, which no bill can carry"
        if -int(line.amount.as_tuple().exponent) > decimals and (Fraction(line.amount) * 10**decimals).denominator != 1:
            return f"charge {line.charge_id} amounts to {line.amount} {currency}, which is not rounded to {decimals} decimals"
        if not _bounded(line.quantity, KEPT):
            return f"charge {line.charge_id} has the quantity {line.quantity:.3E}, which no bill can carry"
    return None


def _bounded(number: Decimal, bounds: DecimalBounds) -> bool:
    try:
        bounds.check(number)
    except InvalidDecimal:
        return False
    return True

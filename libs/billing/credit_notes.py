"""Credits of billed lines: what goes back of a line and of the taxes that it bore.

Amount and taxes are rounded each by itself, from the exact part, and the total is the sum of the rounded ones. A line that is
credited in parts, each told what went back before it, comes to exactly what was billed; so do the lines of a bill together.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from libs.billing.taxes import Tax, TaxedAmount, exact_taxes
from libs.contracts import BillLine
from libs.money import round_to_minor_unit, sum_exactly

WHOLE = Fraction(1)
NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Credit:
    """What goes back: the amount without tax, and each tax in the order of the line's."""

    amount: Decimal
    taxes: tuple[Decimal, ...]

    @property
    def total(self) -> Decimal:
        """What the customer gets back."""
        return sum_exactly([self.amount, *self.taxes])


def credit_line(line: BillLine, share: Fraction, currency: str, credited: Fraction = NOTHING) -> Credit:
    """The credit for a share of a line, after the share `credited` went back already; together they are at most the whole."""
    assert NOTHING <= credited <= credited + share <= WHOLE, f"{credited} and {share} of line {line.charge_id} are no parts of it"
    before, after = (_credited(line, part, currency) for part in (credited, credited + share))
    return Credit(
        sum_exactly([after.amount, -before.amount]),
        tuple(sum_exactly([later, -earlier]) for earlier, later in zip(before.taxes, after.taxes, strict=True)),
    )


def _credited(line: BillLine, share: Fraction, currency: str) -> Credit:
    billed = tuple(tax.amount for tax in line.taxes)
    if share == WHOLE:
        return Credit(line.amount, billed)
    taxes = tuple(Tax(tax.category, tax.rate, tax.on) for tax in line.taxes)
    price = sum_exactly([line.amount, *billed]) if line.is_tax_included else line.amount
    exact = exact_taxes(TaxedAmount(price, taxes, line.is_tax_included))
    net = Fraction(price) - sum(exact, NOTHING) if line.is_tax_included else Fraction(price)
    return Credit(round_to_minor_unit(net * share, currency), tuple(round_to_minor_unit(tax * share, currency) for tax in exact))

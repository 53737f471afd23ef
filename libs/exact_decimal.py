"""The one rule about decimals: how they are written, and how many digits each kind may have.

What may enter is what every reader can read and MongoDB can keep: whole numbers in 64 bits, decimals in the 34 digits of
Decimal128. ASCII digits only, so a text is a number for everybody or for nobody.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

# Longer texts are refused unread: the digits that any bounds allow, sign, point and exponent fit in half of it.
TEXT_LENGTH_MAX = 100
_WRITTEN = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?", re.ASCII)
_SHOWN_LENGTH_MAX = 40


class InvalidDecimal(ValueError):
    """A text or number is no decimal, or has too many digits; the message says which."""


@dataclass(frozen=True, slots=True)
class DecimalBounds:
    """How many digits a number may have before its point, after it, and together."""

    whole_digits_max: int
    decimals_max: int
    digits_max: int

    def check(self, number: Decimal) -> Decimal:
        """Return the number. Raises InvalidDecimal."""
        _, digits, exponent = number.as_tuple()
        if not isinstance(exponent, int):
            raise InvalidDecimal(f"{number} is no number")
        if number.adjusted() >= self.whole_digits_max:
            raise InvalidDecimal(f"{_shown(number)} has more than {self.whole_digits_max} digits before the decimal point")
        if exponent < -self.decimals_max:
            raise InvalidDecimal(f"{_shown(number)} has more than {self.decimals_max} digits after the decimal point")
        if len(digits) + max(exponent, 0) > self.digits_max:
            raise InvalidDecimal(f"{_shown(number)} has more than {self.digits_max} digits")
        return number

    def __str__(self) -> str:
        return f"at most {self.whole_digits_max} digits before the decimal point and {self.decimals_max} after it"


# Numbers that others write, at every door. Eighteen digits: whole numbers stay within 64 bits, and both sides within 36.
ENTERED = DecimalBounds(18, 18, 36)
# Money that others write: the digits of a price in a rate book, so that a catalogue can publish what it took.
# Ten million such amounts add up within the 34 digits of Decimal128.
MONEY_ENTERED = DecimalBounds(15, 12, 27)
# Quantities, and numerators of exact fractions: whatever Decimal128 keeps without an exponent.
KEPT = DecimalBounds(34, 34, 34)
# Amounts of charges: as many, with the decimals of a price.
AMOUNT = DecimalBounds(34, 12, 34)
# A line that a bill can carry, and the totals of five thousand of them with their taxes. No currency has more than four decimals;
# a thousand bills of an account with the greatest totals still add up within the 34 digits of its balance.
BILL_LINE = DecimalBounds(21, 6, 27)
BILLED = DecimalBounds(25, 6, 31)


def parse_decimal(text: str, bounds: DecimalBounds) -> Decimal:
    """Return the number that a text writes in ASCII digits, such as 12, -0.085 or 1e3. Raises InvalidDecimal."""
    if len(text) > TEXT_LENGTH_MAX:
        raise InvalidDecimal(f"{text[:_SHOWN_LENGTH_MAX]}… has more than {TEXT_LENGTH_MAX} characters")
    if not _WRITTEN.fullmatch(text):
        raise InvalidDecimal(f"{text[:_SHOWN_LENGTH_MAX]!r} is not a number: write digits, with a decimal point if needed, as in 0.085")
    return bounds.check(Decimal(text))


def _shown(number: Decimal) -> str:
    return str(number)[:_SHOWN_LENGTH_MAX]

"""Numbers of a rate book, read digit by digit: what is written is what is priced.

`0.17` is the integer 17 with 2 decimals. Floats (`1e-3`) are refused: they say less exactly what was meant.
"""

import re
from dataclasses import dataclass
from decimal import Context, Decimal

from libs.pricing.faults import Unreadable
from libs.pricing.remedies import number_remedy

# Prices per byte are stated per megabyte; nobody sells with more decimals than these.
WHOLE_DIGITS_MAX = 15
DECIMALS_MAX = 12

_PLAIN = re.compile(r"(\d+)(?:\.(\d+))?", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d+", re.ASCII)
# Exponents beyond these bounds are not worth spelling out in a remedy.
_SPELLED_EXPONENT_MAX = 18
_WIDE = Context(prec=WHOLE_DIGITS_MAX + DECIMALS_MAX)


@dataclass(frozen=True, slots=True)
class ExactNumber:
    """`digits / 10**decimals`, not negative, without trailing zeros after the point."""

    digits: int
    decimals: int = 0

    def scaled(self, decimals: int) -> int:
        """The number as an integer of `10**-decimals`; `decimals` is at least its own."""
        return self.digits * 10 ** (decimals - self.decimals)

    def to_decimal(self) -> Decimal:
        """The same number as a decimal."""
        return Decimal(self.digits).scaleb(-self.decimals, _WIDE)

    def __str__(self) -> str:
        return f"{self.to_decimal():f}"


def parse_number(text: str) -> ExactNumber:
    """A number such as 12 or 0.085. Raises Unreadable."""
    plain = _PLAIN.fullmatch(text)
    if plain is None:
        raise _refusal(text)
    whole, decimals = plain[1].lstrip("0"), (plain[2] or "").rstrip("0")
    if len(whole) > WHOLE_DIGITS_MAX or len(decimals) > DECIMALS_MAX:
        raise Unreadable(
            f"{text[:80]!r} has too many digits", f"use at most {WHOLE_DIGITS_MAX} before the decimal point and {DECIMALS_MAX} after it"
        )
    return ExactNumber(int(whole + decimals or "0"), len(decimals))


def parse_positive_number(text: str) -> ExactNumber:
    """A number greater than zero. Raises Unreadable."""
    number = parse_number(text)
    if number.digits == 0:
        raise Unreadable(f"{text!r} is zero", "use a number greater than zero")
    return number


def _refusal(text: str) -> Unreadable:
    if _FLOAT.fullmatch(text):
        return Unreadable(f"{text!r} is in float notation", _spelled_out(text))
    if text.startswith("-") and _PLAIN.fullmatch(text[1:]):
        return Unreadable(f"{text!r} is negative", "use a number that is not negative")
    remedy = number_remedy(text[:80])
    return Unreadable(f"{text[:80]!r} is not a number", remedy or "write digits, with a decimal point if needed, as in 0.085")


def _spelled_out(text: str) -> str:
    value = Decimal(text)
    if abs(value.adjusted()) > _SPELLED_EXPONENT_MAX:
        return "write all its digits, as in 0.001"
    return f"write {value:f}"

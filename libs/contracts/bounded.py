"""Numbers and texts of facts, with the bounds within which every service can read, add, store and pass them on.

MongoDB keeps integers of 64 bits and decimals of 34 digits, its keys hold no NUL, and its indexes and messages have limits.
A message beyond these bounds is malformed: it is refused by its type, before any handler works on it.
"""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from libs.exact_decimal import AMOUNT, BILLED, KEPT, DecimalBounds, parse_decimal
from libs.periods import Instant

INT64_MAX = 2**63 - 1
# Counts are added to others: nine thousand of the greatest still fit in 64 bits.
COUNT_MAX = 10**15
# Calendars go from the year 1 to 9999; the month around an instant and the days after it need room.
YEAR_MIN, YEAR_MAX = 1000, 9900
# A float shows up to so many digits exactly as they were written.
_FLOAT_DIGITS_MAX = 15

# The name of a field within a document: MongoDB would take dots and dollars for paths and operators.
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Denominator = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,79}$")]

Revision = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX)]
Count = Annotated[int, Field(strict=True, ge=0, le=COUNT_MAX)]
Int64 = Annotated[int, Field(strict=True, ge=-INT64_MAX, le=INT64_MAX)]
# What counts were added up to.
Total = Annotated[int, Field(strict=True, ge=0, le=INT64_MAX)]
CountChange = Annotated[int, Field(strict=True, ge=-COUNT_MAX, le=COUNT_MAX)]


def _exact(bounds: DecimalBounds, value: Any) -> Any:
    """Return the decimal of a text or number. Raises ValueError; what is neither goes on to pydantic, which refuses it."""
    if isinstance(value, str):
        return parse_decimal(value, bounds)
    if isinstance(value, Decimal):
        return bounds.check(value)
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    if isinstance(value, int):
        return bounds.check(Decimal(value))
    if isinstance(value, float):
        return _exact(bounds, _written(value))
    return value


def _written(number: float) -> str:
    """Return what a JSON number said. Raises ValueError where reading it as a float may have lost something of it."""
    text = repr(number)
    if not number or sum(character.isdigit() for character in text.partition("e")[0]) > _FLOAT_DIGITS_MAX:
        raise ValueError("write a decimal of so many digits, or zero with a point, as a text")
    return text


def _decimal_schema(bounds: DecimalBounds) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}], "description": f"An exact decimal: {bounds}"})


# Sums of money in a currency, rates and percentages.
Amount = Annotated[Decimal, BeforeValidator(partial(_exact, AMOUNT)), _decimal_schema(AMOUNT)]
# Amounts and totals of an issued bill.
BilledAmount = Annotated[Decimal, BeforeValidator(partial(_exact, BILLED)), _decimal_schema(BILLED)]
# Quantities, and numerators of exact fractions.
Exact = Annotated[Decimal, BeforeValidator(partial(_exact, KEPT)), _decimal_schema(KEPT)]


def _within_calendars(instant: datetime) -> datetime:
    if not YEAR_MIN <= instant.year <= YEAR_MAX:
        raise ValueError(f"{instant} is outside the years {YEAR_MIN} to {YEAR_MAX}")
    return instant


# An instant whose month can be computed in every time zone.
CalendarInstant = Annotated[Instant, AfterValidator(_within_calendars)]

"""JSON in which a decimal stays the number it is: never a float, never a string, never null for nothing.

Reading refuses what no JSON number can be (NaN, Infinity) and what MongoDB cannot keep exactly.
"""

import json
from decimal import Decimal
from typing import Any

import orjson

# Decimal128 holds 34 digits and MongoDB's integers 64 bits: beyond them a number could not be kept as sent.
_DIGITS_MAX = 34
_EXPONENT_MAX = 6_000
_INTEGER_MAX = 2**63 - 1


class InvalidJson(ValueError):
    """The bytes are not JSON, or hold a number that cannot be kept exactly."""


def write_json(value: Any) -> bytes:
    """Instants in RFC 3339 with Z, decimals digit by digit. Raises TypeError for anything JSON does not know."""
    return orjson.dumps(value, default=_as_json_number, option=orjson.OPT_UTC_Z)


def read_json(body: bytes | str) -> Any:
    """Numbers with a fraction or an exponent become Decimal. Raises InvalidJson."""
    try:
        return json.loads(body, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidJson(str(error) or "nested too deeply") from None


def _as_json_number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{value!r} has no JSON form")


def _decimal(digits: str) -> Decimal:
    number = Decimal(digits)
    _, figures, exponent = number.as_tuple()
    if len(figures) > _DIGITS_MAX or not isinstance(exponent, int) or abs(exponent) > _EXPONENT_MAX:
        raise InvalidJson(f"the number {digits[:50]} has more than {_DIGITS_MAX} digits")
    return number


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) > _INTEGER_MAX:
        raise InvalidJson(f"the number {digits[:50]} is too large")
    return int(digits)


def _refuse_constant(name: str) -> Any:
    raise InvalidJson(f"{name} is not JSON")

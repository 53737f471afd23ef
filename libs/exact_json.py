"""JSON in which a decimal stays the number it is: never a float, never a string, never null for nothing.

Reading refuses what no JSON number can be (NaN, Infinity), what MongoDB cannot keep exactly (see libs.exact_decimal), and
texts that hold NUL or half of a surrogate pair: what is read can be written, stored and read again by every service.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import orjson

from libs.exact_decimal import ENTERED, DecimalBounds, InvalidDecimal, parse_decimal

# MongoDB nests at most 100 levels and orjson 254.
DEPTH_MAX = 64
_INT64_DIGITS_MAX = 18
_SHOWN_LENGTH_MAX = 100


class InvalidJson(ValueError):
    """The bytes are not JSON, or hold a value that not every service can keep."""


class UnfitValue(InvalidJson):
    """JSON with a value that cannot be kept: a number beyond its bounds, a text that is no Unicode. Names the attribute."""


class _Unfit:
    """A number that is beyond its bounds, in the place of its value until that place is known."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


def write_json(value: Any) -> bytes:
    """Instants in RFC 3339 with Z, decimals digit by digit. Raises TypeError for anything JSON does not know."""
    return orjson.dumps(value, default=_as_json_number, option=orjson.OPT_UTC_Z)


def read_json(body: bytes | str, bounds: DecimalBounds = ENTERED) -> Any:
    """Return the value; numbers with a fraction or an exponent become Decimal. Raises InvalidJson, or UnfitValue."""
    unfit: list[_Unfit] = []
    try:
        # Strictly: the json module would let halves of surrogate pairs pass.
        text = body.decode() if isinstance(body, bytes) else body
        value = json.loads(
            text,
            parse_float=_marking(parse_decimal, bounds, unfit),
            parse_int=_marking(_integer, bounds, unfit),
            parse_constant=_refuse_constant,
        )
        if unfit or _needs_a_look(text):
            _check(value, unfit)
    except InvalidJson:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidJson(str(error) or "nested too deeply") from None
    return value


def check_text(text: str) -> None:
    """Raises ValueError for a text that not every service can keep."""
    if "\x00" in text:
        raise ValueError("holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair") from None


def _as_json_number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{value!r} has no JSON form")


def _marking(read: Callable[[str, DecimalBounds], Any], bounds: DecimalBounds, unfit: list[_Unfit]) -> Callable[[str], Any]:
    def number(digits: str) -> Any:
        try:
            return read(digits, bounds)
        except InvalidDecimal as error:
            unfit.append(_Unfit(str(error)))
            return unfit[-1]

    return number


def _integer(digits: str, bounds: DecimalBounds) -> int | Decimal:
    if len(digits) <= _INT64_DIGITS_MAX:
        return int(digits)
    number = parse_decimal(digits, bounds)
    return int(number) if number.adjusted() < _INT64_DIGITS_MAX else number


def _refuse_constant(name: str) -> Any:
    raise InvalidJson(f"{name} is not JSON")


def _needs_a_look(text: str) -> bool:
    """Whether a text within may hold what is refused, or the nesting be too deep: mostly neither, and looking takes time."""
    return "\\u" in text or not text.isascii() or text.count("[") + text.count("{") > DEPTH_MAX


def _check(value: Any, unfit: list[_Unfit]) -> None:
    for path, found, depth in _places(value, "", 0):
        if isinstance(found, _Unfit):
            raise UnfitValue(f"{path[:_SHOWN_LENGTH_MAX]}: {found.reason}" if path else found.reason)
        if depth > DEPTH_MAX:
            raise UnfitValue(f"{path[:_SHOWN_LENGTH_MAX]} is nested deeper than {DEPTH_MAX} levels")
        if isinstance(found, str):
            try:
                check_text(found)
            except ValueError as error:
                raise UnfitValue(f"{path[:_SHOWN_LENGTH_MAX] or 'the text'} {error}".encode(errors="replace").decode()) from None
    if unfit:
        # It stood under a name that comes again.
        raise UnfitValue(unfit[0].reason)


def _places(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any, int]]:
    """Every value with its path and depth; names count as texts of what they belong to."""
    yield path, value, depth
    if depth > DEPTH_MAX:
        return
    if isinstance(value, dict):
        for name, member in value.items():
            inner = f"{path}.{name}" if path else name
            yield inner, name, depth
            yield from _places(member, inner, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, f"{path}[{index}]", depth + 1)

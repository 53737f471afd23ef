"""Where amounts are rounded and how, as a rate book says: at the bill line, which is the default, at each record or at the bill."""

from dataclasses import dataclass
from functools import partial

from libs.contracts import LineRounding
from libs.money import RoundingMode, minor_unit_decimals
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.reader import Reader
from libs.pricing.usage_price import RecordRounding
from libs.pricing.yaml_source import Node

POINTS = ("line", "record", "bill")
# Finer than any price of a byte; a record that is rounded to more need not be rounded.
RECORD_DECIMALS_MAX = 9


@dataclass(frozen=True, slots=True)
class Rounding:
    """At most one of the two is set; neither is half up at the line to the currency's minor unit. `line` is also for the sum of lines."""

    record: RecordRounding | None = None
    line: LineRounding | None = None


DEFAULT_ROUNDING = Rounding()


def read_rounding(node: Node | None, default: Rounding, currency: str, reader: Reader) -> Rounding:
    """The rounding of a book, an offering or a price; what it does not say is as by default, not as the part around it says."""
    if node is None:
        return default
    fields = reader.fields(node, (), ("point", "mode", "decimals"))
    point = reader.value(fields.get("point"), partial(_parse_word, words=POINTS, what="rounding point"), "line")
    mode = RoundingMode(reader.value(fields.get("mode"), partial(_parse_word, words=tuple(RoundingMode), what="rounding mode"), "half_up"))
    minor_unit = minor_unit_decimals(currency) if currency else 0
    greatest = RECORD_DECIMALS_MAX if point == "record" else minor_unit
    decimals = reader.value(fields.get("decimals"), partial(_parse_decimals, greatest=greatest, point=point), None)
    if point == "record":
        return Rounding(record=RecordRounding(mode, minor_unit if decimals is None else decimals))
    if point == "bill":
        return Rounding(line=LineRounding(point="bill", mode=mode, decimals=decimals))
    if mode is RoundingMode.HALF_UP and decimals in (None, minor_unit):
        return DEFAULT_ROUNDING
    return Rounding(line=LineRounding(mode=mode, decimals=decimals))


def _parse_word(text: str, words: tuple[str, ...], what: str) -> str:
    if text not in words:
        raise Unreadable(f"unknown {what} {text[:80]!r}", suggest(text, words, f"use {', '.join(words)}"))
    return text


def _parse_decimals(text: str, greatest: int, point: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= greatest):
        raise Unreadable(f"{text[:80]!r} decimals", f"use a number from 0 to {greatest}, to which a {point} can be rounded")
    return int(text)

"""Series of legal numbers: which one a bill belongs to, and how a number of it is written.

The pattern `{year}` makes one series per calendar year of the bill date in the account's zone, as printed on the
bill: 2026-00000001, 2026-00000002 … Within a series numbers have no gap. `{month}`, `{currency}` and `{kind}` may be used as well.
"""

import string
from collections.abc import Sequence

from libs.contracts import BillIssued, RunType
from libs.periods import time_zone

SEQUENCE_DIGITS = 8
SERIES_CHARS_MAX = 64
_FIELDS = frozenset({"year", "month", "currency", "kind"})
_KINDS = {RunType.ON_CYCLE: "C", RunType.OFF_CYCLE: "D"}


class InvalidSeries(ValueError):
    """The pattern cannot name series; the message says which part."""


class InvoiceSeries:
    """The series of an operator, from a pattern such as `{year}` or `ES-{year}-{kind}`."""

    def __init__(self, pattern: str) -> None:
        try:
            fields = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(pattern) if name is not None]
        except ValueError as error:
            raise InvalidSeries(f"invoice series {pattern!r}: {error}") from None
        for name, spec, conversion in fields:
            if name not in _FIELDS or spec or conversion:
                raise InvalidSeries(f"invoice series {pattern!r}: {{{name}}} is none of {', '.join(sorted(_FIELDS))}")
        if not pattern.strip() or len(pattern) > SERIES_CHARS_MAX:
            raise InvalidSeries(f"invoice series {pattern!r}: give 1 to {SERIES_CHARS_MAX} characters, such as {{year}}")
        self._pattern = pattern

    def of(self, bill: BillIssued) -> str:
        """The name of the series that the bill is numbered in."""
        issued_on = bill.bill_date.astimezone(time_zone(bill.time_zone))
        return self._pattern.format(
            year=f"{issued_on.year:04d}", month=f"{issued_on.month:02d}", currency=bill.currency, kind=_KINDS[bill.run_type]
        )


def bill_numbers(series: str, last: int, count: int) -> Sequence[str]:
    """The `count` numbers of a block that ends with `last`."""
    return [f"{series}-{sequence:0{SEQUENCE_DIGITS}d}" for sequence in range(last - count + 1, last + 1)]


def sequence_of(bill_no: str) -> tuple[str, int]:
    """The series of a number and its place in it. Raises ValueError for what is no number of any series."""
    series, dash, sequence = bill_no.rpartition("-")
    if not (dash and sequence.isascii() and sequence.isdigit()):
        raise ValueError(f"{bill_no!r} is no number of a series")
    return series, int(sequence)

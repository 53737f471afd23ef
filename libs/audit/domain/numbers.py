"""Legal numbers: within a series 1, 2, 3 … up to the last one given, without gap and without repeat."""

from collections.abc import Iterator, Mapping

from libs.audit.domain.difference import Category, Difference


class NumberWalk:
    """Takes the numbers of all series, ordered by series and sequence, and tells what is wrong on the way."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def take(self, series: str, sequence: int, bill_id: str) -> Iterator[Difference]:
        """The next number, given to that bill."""
        expected = self._last.get(series, 0) + 1
        if sequence < expected:
            yield _of_number(bill_id, f"a number of its own in series {series}", f"{sequence} again")
        elif sequence > expected:
            gap = f"{expected}" if sequence == expected + 1 else f"{expected} to {sequence - 1}"
            yield _of_number(bill_id, f"number {expected} in series {series}", f"{sequence}: {gap} missing")
        self._last[series] = max(sequence, expected - 1)

    def finish(self, counters: Mapping[str, int]) -> Iterator[Difference]:
        """The counters that numbers are given from stand at the last number of each series."""
        for series in sorted({*counters, *self._last}):
            last, counter = self._last.get(series, 0), counters.get(series, 0)
            if last != counter:
                yield _of_number(series, f"counter at {last}, the last number given", f"{counter}")


def unreadable_number(bill_id: str, bill_no: str | None) -> Difference:
    """A number that belongs to no series."""
    return _of_number(bill_id, "a series, a hyphen and a number", f"{bill_no}")


def _of_number(id: str, expected: str, found: str) -> Difference:
    return Difference(category=Category.BILL_NUMBER, id=id, expected=expected, found=found)

"""What is wrong in a rate book: where, what, and what to do about it. All faults of a book are told in one go.

`Unreadable` is how the parser of one value refuses a text; the reader adds the place and goes on with the next value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """`line` counts from 1; `path` names the value from the top, as in `offerings.basic.usage_prices[0].price.amount`."""

    file: str
    line: int
    path: str
    message: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: {self.path}" if self.path else f"{self.file}:{self.line}"
        return f"{where}: {self.message}; {self.remedy}"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in a file something is declared."""

    file: str
    line: int
    path: str

    def fault(self, message: str, remedy: str) -> Fault:
        """A fault of what is declared here."""
        return Fault(self.file, self.line, self.path, message, remedy)


class RateBookInvalid(ValueError):
    """A rate book that cannot price; `faults` in the order of their lines, `str()` one a line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: list[Fault] = sorted(faults)
        super().__init__("\n".join(map(str, self.faults)))


class Unreadable(ValueError):
    """A text that is not the value it should be."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def suggest(word: str, known: Sequence[str], otherwise: str) -> str:
    """The remedy for an unknown word: the same in other letters, the nearest known one, or `otherwise`."""
    nearest = [name for name in known if name.lower() == word.lower()] or get_close_matches(word, known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else otherwise

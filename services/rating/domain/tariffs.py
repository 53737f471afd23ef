"""Whether a rate book may be priced by: sound in itself and among all others, and never another one than it was once it is in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from libs.contracts import TariffAccepted, TariffPublished, TariffRefused
from libs.contracts.fact import TEXT_LENGTH_MAX
from libs.pricing import RateBook, RateBookInvalid, RateBooks, parse_rate_book
from libs.pricing.yaml_source import Mapping as YamlMapping
from libs.pricing.yaml_source import Node, Scalar, Sequence, read_yaml

# Nobody reads more at once; mending these makes others go.
FAULTS_MAX = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that shall be the book `book_id`. `id` is that of its publication, `file` names the text in faults."""

    id: str
    book_id: str
    text: str
    file: str
    published_at: datetime
    from_file: bool = False

    @classmethod
    def of(cls, published: TariffPublished) -> Self:
        """A text that somebody published."""
        return cls(published.id, published.book_id, published.text, f"{published.book_id}.yaml", published.published_at)


@dataclass(frozen=True, slots=True)
class Tariff:
    """A rate book that was accepted. `answer` is what was told then, and `earlier` what was told of the texts that it replaced
    before they took effect."""

    book: RateBook
    candidate: Candidate
    answer: TariffAccepted
    earlier: tuple[TariffAccepted, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to tell, and the tariff to store when it is a new one."""

    answer: TariffAccepted | TariffRefused
    tariff: Tariff | None = None


def decide(candidate: Candidate, tariffs: Mapping[str, Tariff], now: datetime) -> Decision:
    """Accept the book or refuse it with every fault. `tariffs` are all that were accepted, by the ids of their books.

    What comes again is answered as it was. A book in force stays as it is: another text under its id is refused.
    """
    known = tariffs.get(candidate.book_id)
    if known is not None and (told := _told_before(candidate, known)) is not None:
        return Decision(told)
    try:
        book = parse_rate_book(candidate.text, candidate.file)
        fault = _fault(candidate, book, known, now)
        if fault is not None:
            raise RateBookInvalid([book.place.fault(*fault)])
        if known is not None and is_same_book(candidate.text, known.candidate.text):
            return Decision(known.answer.model_copy(update={"id": candidate.id}))
        RateBooks([*(other.book for id, other in tariffs.items() if id != book.id), book])
    except RateBookInvalid as error:
        return Decision(_refusal(candidate, error, now))
    answer = TariffAccepted(id=candidate.id, book_id=book.id, effective_from=book.effective_from, accepted_at=now)
    earlier = (*known.earlier, known.answer) if known is not None else ()
    return Decision(answer, Tariff(book, candidate, answer, earlier))


def is_same_book(text: str, other: str) -> bool:
    """Whether two texts say the same: comments, quotes and the order of keys are no difference. Both can be parsed."""
    return text == other or _said(read_yaml(text, "")[0]) == _said(read_yaml(other, "")[0])


def _told_before(candidate: Candidate, known: Tariff) -> TariffAccepted | None:
    if (candidate.id, candidate.text) == (known.answer.id, known.candidate.text):
        return known.answer
    # A text that was replaced may be published anew; when it is older than what replaced it, it only comes again.
    if candidate.published_at > known.candidate.published_at:
        return None
    return next((answer for answer in known.earlier if answer.id == candidate.id), None)


def _fault(candidate: Candidate, book: RateBook, known: Tariff | None, now: datetime) -> tuple[str, str] | None:
    if book.id != candidate.book_id:
        return f"the book calls itself {book.id!r} and was published as {candidate.book_id!r}", "publish it under its own id"
    if known is None or is_same_book(candidate.text, known.candidate.text):
        return None
    if known.book.effective_from <= now:
        return (
            f"rate book {book.id!r} has been in force since {known.book.effective_from.isoformat()} and stays as it is",
            "give the changed book an id of its own and a later effective_from",
        )
    if candidate.published_at < known.candidate.published_at:
        return (
            f"another text of rate book {book.id!r} was published later, at {known.candidate.published_at.isoformat()}",
            "publish it again",
        )
    return None


def _refusal(candidate: Candidate, error: RateBookInvalid, now: datetime) -> TariffRefused:
    faults = [str(fault)[:TEXT_LENGTH_MAX] for fault in error.faults[:FAULTS_MAX]]
    if len(error.faults) > FAULTS_MAX:
        faults.append(f"and {len(error.faults) - FAULTS_MAX} more")
    return TariffRefused(id=candidate.id, book_id=candidate.book_id, faults=tuple(faults), refused_at=now)


def _said(node: Node) -> Any:
    match node:
        case Scalar():
            return node.text
        case Sequence():
            return [_said(item) for item in node.items]
        case YamlMapping():
            return {key: _said(value) for key, value in node.entries.items()}
    raise AssertionError("a book that parses has nothing that was refused")

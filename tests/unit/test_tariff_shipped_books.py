"""The shipped rate books through everything that shows, writes and compares books: nothing is lost on the way."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from libs.pricing import RateBookInvalid
from libs.tariffs import BookDocument, difference, offering_sheet, read_book_document
from libs.tariffs.book_text import book_text
from libs.tariffs.quantities import number, quantity
from libs.tariffs.words import USAGE_NAMES

FOLDER = Path(__file__).parents[2] / "deploy/rate-books"
BOOKS = sorted(path.name for path in FOLDER.glob("*.yaml"))


@pytest.fixture(params=BOOKS)
def document(request: pytest.FixtureRequest) -> BookDocument:
    return read_book_document((FOLDER / request.param).read_text(), request.param)


def test_a_book_that_is_written_anew_says_the_same(document: BookDocument) -> None:
    written = read_book_document(book_text(document.terms, ["Written anew."]), "anew.yaml")
    assert written.terms == document.terms
    assert difference(document, written) == []


def test_a_sheet_has_a_line_for_each_part_of_an_offering(document: BookDocument) -> None:
    for offering, terms in document.offerings.items():
        parts = [part for section in terms.values() for part in (section if isinstance(section, list) else [section])]
        lines = offering_sheet(document, offering)
        assert len(lines) == len(parts)
        for line, part in zip(lines, parts, strict=True):
            if isinstance(part, dict):
                named = USAGE_NAMES.get(part.get("match", {}).get("usage_type"), "")
                told = " ".join(
                    [
                        line.id,
                        line.description,
                        line.applies_to,
                        line.price,
                        *line.conditions,
                        *([part["match"]["usage_type"]] if named else []),
                    ]
                )
                missing = [value for value in leaves(part) if value not in told]
                assert not missing, f"{offering}: {line} does not tell {missing}"


def test_every_other_number_in_an_offering_is_a_change_that_is_told(document: BookDocument) -> None:
    # One of each kind: the same keys below the same sections.
    kinds = {tuple(key for key in path[2:] if isinstance(key, str)): (path, value) for path, value in numbers(document.terms["offerings"])}
    tried = 0
    for path, value in kinds.values():
        terms = deepcopy(dict(document.terms))
        place: Any = terms
        for key in path[:-1]:
            place = place[key]
        count, _, unit = value.partition(" ")
        place[path[-1]] = f"{count}7 {unit}".strip() if "." in count else f"{count}.5 {unit}".strip()
        try:
            changed = read_book_document(book_text(terms), "changed.yaml")
        except RateBookInvalid:
            # A whole number is needed here, or tiers would no longer rise.
            continue
        tried += 1
        assert [change.offering for change in difference(document, changed)] == [path[1]], path
    assert tried > 1


def leaves(terms: Any) -> Iterator[str]:
    for value in terms.values() if isinstance(terms, dict) else terms:
        if isinstance(value, dict | list):
            yield from leaves(value)
        else:
            yield value


def numbers(terms: Any, path: tuple[Any, ...] = ("offerings",)) -> Iterator[tuple[tuple[Any, ...], str]]:
    for key, value in terms.items() if isinstance(terms, dict) else enumerate(terms):
        if isinstance(value, dict) and value.get("amount") == "0":
            # Nothing for any quantity is nothing.
            continue
        if isinstance(value, dict | list):
            yield from numbers(value, (*path, key))
        elif key not in ("called", "visited_network") and (number(value) is not None or quantity(value) is not None):
            yield (*path, key), value

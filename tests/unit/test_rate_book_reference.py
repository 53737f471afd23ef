"""The examples of the rate book reference, run as they stand: each book with the usages or faults below it."""

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from libs.pricing import PricedUsage, RateBookInvalid, RateBooks, parse_rate_book
from tests.usages import usage_of

REFERENCE = Path(__file__).parents[2] / "libs/pricing/README.md"

Example = tuple[str, str, str]


def examples() -> list[Example]:
    """Each YAML book with the fence that follows it: (book, what the fence is, its text)."""
    fences = re.findall(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    found, book = [], ""
    for kind, zone, text in fences:
        if kind == "yaml":
            book = text
        elif kind in ("usages", "faults"):
            found.append((book, zone, text))
    return found


def priced_lines() -> list:
    return [
        pytest.param(book, zone, re.split(r"\s{2,}", line.strip()), id=re.sub(r"\s+", " ", line))
        for book, zone, text in examples()
        if zone
        for line in text.splitlines()[1:]
    ]


@pytest.mark.parametrize(("book", "zone", "columns"), priced_lines())
def test_a_usage_of_the_reference_gets_the_price_in_its_line(book: str, zone: str, columns: list[str]) -> None:
    usage_type, quantity, called, starts, *expected = columns
    usage = usage_of(
        id="usage",
        identifier="+34600000000",
        usage_type=usage_type,
        quantity=Decimal(quantity.split()[0]),
        unit=quantity.split()[1],
        called_number=None if called == "-" else called,
        started_at=starts,
    )
    answer = RateBooks([parse_rate_book(book, "book.yaml")]).price_usage("basic", usage, time_zone=zone, currency="EUR")
    if isinstance(answer, PricedUsage):
        price_id, charged, amount = expected
        assert answer.price_id == price_id
        assert answer.charged_quantity == Decimal(charged)
        assert Fraction(answer.numerator, answer.denominator) == Fraction(amount)
    else:
        assert [answer.reason.value] == expected


def test_the_faulty_book_of_the_reference_has_the_faults_below_it() -> None:
    ((book, _, faults),) = [example for example in examples() if not example[1]]
    with pytest.raises(RateBookInvalid) as error:
        parse_rate_book(book, "broken.yaml")
    assert str(error.value) == faults.strip()


def test_every_book_of_the_reference_loads_unless_its_faults_are_told() -> None:
    books = re.findall(r"^```yaml\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    faulty = {book for book, zone, _ in examples() if not zone}
    for book in books:
        if book not in faulty:
            parse_rate_book(book, "book.yaml")
    assert len(books) == 6

"""The examples of the rate book reference, run as they stand: each book with the usages or faults below it."""

import re
from decimal import Decimal
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path

import pytest

from libs.pricing import PricedUsage, RateBookInvalid, RateBooks, RejectedUsage, parse_rate_book
from libs.pricing.tiers import tiers_amount
from tests.usages import usage_of

REFERENCE = Path(__file__).parents[2] / "libs/pricing/README.md"

# A book, and a fence that follows it: its kind, its time zone and its text.
Example = tuple[str, str, str, str]


def examples() -> list[Example]:
    """Each YAML book with each of the fences that follow it."""
    fences = re.findall(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    found, book = [], ""
    for kind, zone, text in fences:
        if kind == "yaml":
            book = text
        elif kind in ("usages", "month", "fees", "bill", "faults"):
            found.append((book, kind, zone, text))
    return found


def lines(kind: str) -> list:
    """Each line below the header of these fences: (book, zone, its values by column)."""
    return [
        pytest.param(book, zone, dict(zip_longest(columns(text.splitlines()[0]), columns(line))), id=re.sub(r"\s+", " ", line))
        for book, of_kind, zone, text in examples()
        if of_kind == kind
        for line in text.splitlines()[1:]
    ]


def columns(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


def answer_to(book: str, zone: str, line: dict[str, str]) -> PricedUsage | RejectedUsage:
    usage = usage_of(
        id="usage",
        identifier="+34600000000",
        usage_type=line["usage"],
        quantity=Decimal(line["quantity"].split()[0]),
        unit=line["quantity"].split()[1],
        called_number=None if line.get("called", "-") == "-" else line["called"],
        started_at=line.get("starts", "2026-03-02T09:00:00Z"),
        characteristics={} if line.get("with", "-") == "-" else dict(pair.split("=") for pair in line["with"].split(",")),
    )
    return RateBooks([parse_rate_book(book, "book.yaml")]).price_usage("basic", usage, time_zone=zone, currency="EUR")


@pytest.mark.parametrize(("book", "zone", "line"), lines("usages"))
def test_a_usage_of_the_reference_gets_the_price_in_its_line(book: str, zone: str, line: dict[str, str]) -> None:
    answer = answer_to(book, zone, line)
    if isinstance(answer, PricedUsage):
        assert "+".join(part.price_id for part in answer.parts) == line["price"]
        assert [part.charged_quantity for part in answer.parts] == [Decimal(charged) for charged in line["charged"].split("+")]
        assert answer.amount == Fraction(line["amount"])
    else:
        assert answer.reason.value == line["price"]
        assert line["charged"] is None


@pytest.mark.parametrize(("book", "zone", "line"), lines("month"))
def test_a_month_of_the_reference_costs_the_amount_in_its_line(book: str, zone: str, line: dict[str, str]) -> None:
    answer = answer_to(book, zone, line)
    assert isinstance(answer, PricedUsage)
    assert answer.price.tiers is not None
    assert (answer.price_id, answer.charged_quantity) == (line["price"], Decimal(line["charged"]))
    assert answer.amount + tiers_amount(answer.price.tiers, answer.charged_quantity) == Fraction(line["amount"])


def test_the_faulty_book_of_the_reference_has_the_faults_below_it() -> None:
    ((book, _, _, faults),) = [example for example in examples() if example[1] == "faults"]
    with pytest.raises(RateBookInvalid) as error:
        parse_rate_book(book, "broken.yaml")
    assert str(error.value) == faults.strip()


def test_every_book_of_the_reference_loads_unless_its_faults_are_told() -> None:
    books = re.findall(r"^```yaml\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)
    faulty = {book for book, kind, _, _ in examples() if kind == "faults"}
    for book in books:
        if book not in faulty:
            parse_rate_book(book, "book.yaml")
    assert len(books) > len(faulty) == 1

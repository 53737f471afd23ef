"""The examples of allowances in the rate book reference, run as they stand: usages in order, and what each takes and leaves to pay."""

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from tests.drawing_world import DrawingWorld, taken, to_pay, usage

REFERENCE = Path(__file__).parents[2] / "libs/pricing/README.md"
TABLE = re.compile(r"^```yaml\n((?:(?!^```).)*?)^```\n+^```drawn (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def tables() -> list:
    return [
        pytest.param(book, zone, [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[1:]], id=book.split()[1])
        for book, zone, text in TABLE.findall(REFERENCE.read_text())
    ]


@pytest.mark.parametrize(("book", "zone", "lines"), tables())
def test_usages_of_the_reference_take_what_their_lines_say(book: str, zone: str, lines: list[list[str]]) -> None:
    world = DrawingWorld.of(book, zone=zone)
    for place, (kind, quantity, called, starts, takes, charged, amount) in enumerate(lines):
        number, unit = quantity.split()
        called_number = None if called == "-" else called
        (rated,) = world.rate(usage(f"u-{place}", number, starts, unit=unit, kind=kind, called_number=called_number))
        told = dict(take.rsplit(" ", 1) for take in takes.split(", ")) if takes != "-" else {}
        assert {named(id): amount for id, amount in taken(rated).items()} == {name: Fraction(amount) for name, amount in told.items()}
        assert rated.priced.charged_quantity == Decimal(charged)
        assert to_pay(rated) == Fraction(amount)


def named(bucket_id: str) -> str:
    """`data/2026-03-01`: the allowance and the first day of the period of a product's own bucket."""
    _, _, _, allowance, _, label = bucket_id.split("|")
    return f"{allowance}/{label}"


def test_there_are_four_tables() -> None:
    assert len(tables()) == 4

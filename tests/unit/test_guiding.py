"""Guiding: a usage goes to the product that held its identifier at its time."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from libs.contracts import FormerOffering, ProductStatus
from services.rating.domain.holdings import Holding, Product, holder_at


def day(number: int) -> datetime:
    return datetime(2026, 3, number, tzinfo=UTC)


BEGINNING = day(1)


def product(id: str, *, started_at: datetime = BEGINNING, ended_at: datetime | None = None, status: str = ProductStatus.ACTIVE) -> Product:
    return Product(id, f"account-{id}", "plan", "Plan", status, started_at, ended_at)


OLD = Holding.of(product("old"), day(1), day(10))
NEW = Holding.of(product("new"), day(10), None)
TAKEN_OVER = Holding.of(product("late"), day(5), None)
ENDED = Holding.of(product("ended", ended_at=day(4)), day(1), None)
CANCELLED = Holding.of(product("cancelled", status=ProductStatus.CANCELLED), day(1), None)


@pytest.mark.parametrize(
    ("tenures", "at", "holder"),
    [
        ((), day(5), None),
        ((OLD, NEW), day(9), "old"),
        ((OLD, NEW), day(10), "new"),
        ((NEW, OLD), day(10), "new"),
        ((NEW,), day(9), None),
        ((OLD,), day(10), None),
        ((OLD, TAKEN_OVER), day(4), "old"),
        ((OLD, TAKEN_OVER), day(5), "late"),
        ((ENDED,), day(3), "ended"),
        ((ENDED,), day(4), None),
        ((CANCELLED,), day(3), None),
    ],
)
def test_a_usage_goes_to_whoever_held_the_identifier_then(tenures: tuple[Holding, ...], at: datetime, holder: str | None) -> None:
    found = holder_at(tenures, at)
    assert (found.id if found else None) == holder


def test_an_identifier_is_held_no_longer_than_its_product_lives() -> None:
    tenure = Holding.of(product("p", started_at=day(3), ended_at=day(9)), day(1), day(20))
    assert (tenure.valid_from, tenure.valid_to) == (day(3), day(9))


def test_a_usage_is_of_the_offering_that_the_product_had_then() -> None:
    formers = (FormerOffering(offering_id="first", until=day(5)), FormerOffering(offering_id="second", until=day(8)))
    tenure = Holding.of(replace(product("moved"), former_offerings=formers), day(1), None)
    found = [holder_at((tenure,), day(number)) for number in (4, 5, 7, 8)]
    assert [holder.offering_id for holder in found if holder is not None] == ["first", "second", "second", "plan"]

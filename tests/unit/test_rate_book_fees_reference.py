"""The fees of the rate book reference: each line below a book is one that its product owes on the bills of these months."""

from datetime import UTC, date, datetime, timedelta

import pytest

from libs.contracts import Suspension
from libs.money import round_to_minor_unit, sum_fractions
from libs.periods import calendar_month, first_moment, last_date, local_date, time_zone
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.fees import FeeHistory, fees_to_charge
from services.rating.domain.holdings import Account, Product
from tests.unit.test_rate_book_reference import lines


@pytest.mark.parametrize(("book", "zone", "line"), lines("fees"))
def test_a_product_of_the_reference_owes_what_its_line_says(book: str, zone: str, line: dict[str, str | None]) -> None:
    expected = (line["price"], line["fee for"], line["amount"], line["told"] or "")
    assert expected in owed(book, zone, line)


def owed(book: str, zone: str, line: dict[str, str | None]) -> list[tuple[str, str, str, str]]:
    """Price, days, amount and share in words of every fee on the bills of the line's months."""
    books = RateBooks([parse_rate_book(book, "book.yaml")])
    suspended = line.get("suspended") or "-"
    product = Product(
        id="product",
        account_id="account",
        offering_id="basic",
        name="Basic",
        status="active",
        started_at=instant(line["starts"], zone) or datetime.max.replace(tzinfo=UTC),
        ended_at=instant(line["ends"], zone),
        suspensions=() if suspended == "-" else (Suspension(**dict(zip(("start", "end"), days(suspended, zone), strict=True))),),
    )
    first, last = str(line["bills of"]).split("..")
    found = []
    for month in months(first, last):
        period = calendar_month(month, zone)
        account = Account("account", "EUR", zone)
        for fee in fees_to_charge(account, [product], period, books, FeeHistory()):
            charge = fee.charge(account, period.end)
            span = f"{local_date(charge.period.start, zone)}..{last_date(charge.period.end, zone)}"
            amount = round_to_minor_unit(sum_fractions(charge.sums), charge.currency)
            found.append((charge.price_id, span, str(amount), charge.description.partition(" (")[2].removesuffix(")")))
    return found


def months(first: str, last: str) -> list[str]:
    """The months from the first to the last."""
    days_between = (date.fromisoformat(f"{last}-01") - date.fromisoformat(f"{first}-01")).days
    return sorted({f"{date.fromisoformat(f'{first}-01') + timedelta(days=number):%Y-%m}" for number in range(days_between + 1)})


def instant(text: str | None, zone: str) -> datetime | None:
    return None if text in (None, "-") else datetime.fromisoformat(str(text)).replace(tzinfo=time_zone(zone)).astimezone(UTC)


def days(text: str, zone: str) -> list[datetime]:
    return [first_moment(date.fromisoformat(day), zone) for day in text.split("..")]

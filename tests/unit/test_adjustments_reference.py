"""The example of discounts, cap and commitment in the rate book reference, run as it stands."""

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from libs.billing.adjustments import adjust
from libs.billing.commitments import due_share
from libs.billing.remainders import SummedLine
from libs.contracts import ChargeKind
from libs.periods import calendar_month, first_moment
from libs.pricing import parse_rate_book

REFERENCE = Path(__file__).parents[2] / "libs/pricing/README.md"
((BOOK, TABLE),) = re.findall(r"^```yaml\n([^`]*?)^```\n[^`]*?^```adjusted\n(.*?)^```$", REFERENCE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("columns", [re.split(r"\s{2,}| (?=-$)", row.strip()) for row in TABLE.splitlines()[1:]], ids=" ".join)
def test_the_charges_of_the_reference_are_adjusted_as_their_row_says(columns: list[str]) -> None:
    began, month, charges, made = columns
    offering = parse_rate_book(BOOK, "book.yaml").offerings["basic"]
    fees = {price.price_id for price in offering.recurring_prices}
    period, first_day = calendar_month(month, "UTC"), date.fromisoformat(began)
    lines = [
        SummedLine(
            price_id,
            ChargeKind.RECURRING if price_id in fees else ChargeKind.USAGE,
            None,
            Decimal(amount),
            max(first_day, period.start.date()),
        )
        for price_id, amount in (charge.split() for charge in charges.split(", "))
    ]
    share = due_share(period, first_moment(first_day, "UTC"), None, "UTC")
    found = adjust(offering.adjustments, lines, first_day, "EUR", share)
    assert [f"{each.id} {each.amount}" for each in found] == ([] if made == "-" else made.split(", "))

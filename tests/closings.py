"""What rating closes, as small as it can be: a charge, its line, those of an account, and the requests that follow a bill."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.billing import BillTerms, TaxTable
from libs.contracts import BillIssuer, BillState, BillStateRequested, Charge, ChargeKind, ChargeLine, ChargesClosed, RunType
from libs.periods import Period, calendar_month

CLOSED_AT = datetime(2026, 4, 1, 3, tzinfo=UTC)
MARCH = calendar_month("2026-03", "Europe/Madrid")
RATES = {"standard": Decimal(21), "reduced": Decimal(10), "zero": Decimal(0), "us-communications": Decimal("8.25")}
TERMS = BillTerms(tax_table=TaxTable.of_rates(RATES), issuer=BillIssuer(name="Tarifa Telecom"), locale="en", template_version="bill-1")


def usage_charge(id: str, exact: Fraction | Decimal, **fields: Any) -> Charge:
    """What calls came to, of the one product of an account; open unless said otherwise."""
    numerator, denominator = exact.as_integer_ratio()
    return Charge(
        **{
            "id": id,
            "account_id": "ada",
            "product_id": "line-1",
            "product_name": "Mobile",
            "offering_id": "basic",
            "price_id": "calls",
            "kind": ChargeKind.USAGE,
            "description": "Calls",
            "currency": "EUR",
            "period": MARCH,
            "sequence": 0,
            "sums": {str(denominator): Decimal(numerator)},
            "updated_at": CLOSED_AT,
            **fields,
        }
    )


def line(charge_id: str, amount: str | Decimal, **fields: Any) -> ChargeLine:
    """A minute of voice, closed at this amount."""
    return ChargeLine(
        **{
            "charge_id": charge_id,
            "product_id": "line-1",
            "product_name": "Mobile",
            "price_id": "voice-day",
            "kind": ChargeKind.USAGE,
            "description": "Calls by day",
            "usage_type": "voice",
            "unit": "s",
            "usage_count": 1,
            "quantity": Decimal(60),
            "period": MARCH,
            "amount": Decimal(amount),
            **fields,
        }
    )


def closed(
    account_id: str, *amounts: str, cut_id: str | None = None, lines: Sequence[ChargeLine] | None = None, **fields: Any
) -> ChargesClosed:
    """The charges of an account for March 2026, one line per amount, closed by the cycle's cut."""
    cut = cut_id or f"run|{account_id}"
    numbered = tuple(line(f"{cut}|{position}", amount) for position, amount in enumerate(amounts))
    return ChargesClosed(
        **{
            "id": cut,
            "account_id": account_id,
            "run_type": RunType.ON_CYCLE,
            "period": MARCH,
            "cause_id": "monthly:2026-03",
            "currency": "EUR",
            "closed_at": CLOSED_AT,
            "lines": numbered if lines is None else tuple(lines),
            **fields,
        }
    )


def on_demand(account_id: str, *amounts: str, request_id: str, **fields: Any) -> ChargesClosed:
    """The charges of an account so far, closed by a request of its own."""
    so_far = Period(start=MARCH.start, end=datetime(2026, 3, 20, tzinfo=UTC))
    return closed(
        account_id, *amounts, cut_id=request_id, cause_id=request_id, **{"run_type": RunType.OFF_CYCLE, "period": so_far, **fields}
    )


def asks(request_id: str, bill_id: str, state: BillState, account_id: str = "ada") -> BillStateRequested:
    """Somebody asks for a state."""
    return BillStateRequested(id=request_id, bill_id=bill_id, account_id=account_id, state=state, requested_at=CLOSED_AT)

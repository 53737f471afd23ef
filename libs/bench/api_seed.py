"""Bills and rates of customers who never were, as invoicing and rating store them: what `tarifa bench api` reads amid."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from libs.contracts import AppliedTax, BillDocument, BillIssued, BillLine, Charge, ChargeKind, ChargeState, PostalAddress, RunType
from libs.periods import Period
from libs.runtime import to_document

BILLS_PER_ACCOUNT = 10
RATES_PER_BILL = 4


def account(number: int) -> str:
    """The id of the account of that number."""
    return f"seeded-{number:06d}"


def bill_id(number: int) -> str:
    """The id of the bill of that number."""
    return f"{account(number // BILLS_PER_ACCOUNT)}.{number:06d}.onCycle"


def bill_document(number: int) -> dict[str, Any]:
    """A bill as invoicing stores it."""
    account_id, month = account(number // BILLS_PER_ACCOUNT), number % BILLS_PER_ACCOUNT
    bill = _bill_of(month)
    return {
        **bill,
        "_id": bill_id(number),
        "bill_no": f"SEEDED-{number:08d}",
        "account_id": account_id,
        "cut_id": f"cut-{number}",
        "lines": [{**line, "charge_id": _rate_id(account_id, price, month)} for price, line in enumerate(bill["lines"])],
        "documents": [{**document, "id": f"document-{number}"} for document in bill["documents"]],
    }


def rate_documents(number: int) -> Iterator[dict[str, Any]]:
    """The charges of a bill as rating stores them."""
    account_id, month = account(number // BILLS_PER_ACCOUNT), number % BILLS_PER_ACCOUNT
    for price in range(RATES_PER_BILL):
        yield {
            **_rate_of(month),
            "_id": _rate_id(account_id, price, month),
            "account_id": account_id,
            "price_id": f"price-{price}",
            "cut_id": f"cut-{number}",
            "bill_id": bill_id(number),
        }


def _rate_id(account_id: str, price: int, month: int) -> str:
    return f"{account_id}|flat|price-{price}|2025-{1 + month:02d}-01|0"


def _period_of(month: int) -> Period:
    return Period(start=datetime(2025, 1 + month, 1, tzinfo=UTC), end=datetime(2025, 2 + month, 1, tzinfo=UTC))


@cache
def _bill_of(month: int) -> dict[str, Any]:
    """The document of somebody's bill of a month; half a million of them are copies with their own ids."""
    period = _period_of(month)
    lines = tuple(
        BillLine(
            charge_id=f"charge-{price}",
            product_id="flat",
            product_name="Flat",
            price_id=f"price-{price}",
            kind=ChargeKind.USAGE,
            description="Calls",
            usage_type="voice",
            unit="s",
            usage_count=12,
            quantity=Decimal(4321),
            period=period,
            amount=Decimal("12.50"),
        )
        for price in range(RATES_PER_BILL)
    )
    bill = BillIssued(
        id="bill",
        bill_no="bill",
        account_id="account",
        account_name="Seeded Customer",
        address=PostalAddress(street="Calle de la Marina 1", post_code="08005", city="Barcelona", country="Spain"),
        related_party_id="party",
        related_party_name="Seeded Customer",
        run_type=RunType.ON_CYCLE,
        cut_id="cut",
        cause_id=f"monthly:2025-{1 + month:02d}",
        period=period,
        bill_date=period.end,
        payment_due_at=period.end + timedelta(days=14),
        currency="EUR",
        time_zone="Europe/Madrid",
        lines=lines,
        tax_items=(AppliedTax(category="standard", rate=Decimal("21"), amount=Decimal("10.50")),),
        tax_excluded_amount=Decimal("50.00"),
        tax_included_amount=Decimal("60.50"),
        amount_due=Decimal("60.50"),
        remaining_amount=Decimal("60.50"),
        documents=(BillDocument(id="document", name="bill.pdf", mime_type="application/pdf"),),
        template_version="bill-1",
        last_update_at=period.end,
    )
    return to_document(bill)


@cache
def _rate_of(month: int) -> dict[str, Any]:
    """The document of somebody's rate of a month."""
    period = _period_of(month)
    rate = Charge(
        id="rate",
        account_id="account",
        product_id="flat",
        product_name="Flat",
        offering_id="flat",
        price_id="price",
        kind=ChargeKind.USAGE,
        description="Calls",
        usage_type="voice",
        unit="s",
        currency="EUR",
        period=period,
        sequence=0,
        state=ChargeState.BILLED,
        usage_count=12,
        quantity=Decimal(4321),
        sums={"60": Decimal(750)},
        amount=Decimal("12.50"),
        cut_id="cut",
        bill_id="bill",
        applied_taxes=(AppliedTax(category="standard", rate=Decimal("21"), amount=Decimal("2.63")),),
        opened_at=period.start,
        updated_at=period.end,
    )
    return to_document(rate)

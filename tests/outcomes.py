"""Facts that invoicing and rating answer a cut with, as small as they can be; the account that was cut, and the bill of closed charges."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from libs.billing import BillDraft, BillTerms, assemble_bill
from libs.contracts import (
    AccountChanged,
    AccountParked,
    AccountState,
    BillIssued,
    BillSkipped,
    ChargesClosed,
    CutRefused,
    FeesNotCharged,
    PostalAddress,
    RunType,
    UnchargedFee,
)
from libs.periods import Period, calendar_month
from tests.closings import TERMS

AT = datetime(2026, 4, 2, 8, tzinfo=UTC)


def account(account_id: str, **fields: Any) -> AccountChanged:
    """An active account in Madrid, billed monthly."""
    return AccountChanged(
        **{
            "id": account_id,
            "revision": 1,
            "name": account_id.title(),
            "state": AccountState.ACTIVE,
            "currency": "EUR",
            "time_zone": "Europe/Madrid",
            "cycle": "monthly",
            "tax_category": "standard",
            "changed_at": AT,
            **fields,
        }
    )


def bill_of(charges: ChargesClosed, bill_no: str = "2026-00000001", *, terms: BillTerms = TERMS, **account_fields: Any) -> BillIssued:
    """The bill that invoicing makes of them, for an account in their currency."""
    owner = account(charges.account_id, **{"currency": charges.currency, **account_fields})
    draft = assemble_bill(charges, owner, terms)
    assert isinstance(draft, BillDraft), draft
    return draft.numbered(bill_no)


def issued(account_id: str, cause_id: str, run_type: RunType, amount: str = "12.10", currency: str = "EUR") -> BillIssued:
    """A bill without lines."""
    return BillIssued(
        id=f"bill-of-{cause_id}-{account_id}",
        bill_no="T-1",
        account_id=account_id,
        account_name=account_id.title(),
        address=PostalAddress(),
        run_type=run_type,
        cut_id=f"cut-of-{cause_id}-{account_id}",
        cause_id=cause_id,
        period=calendar_month("2026-03", "UTC"),
        bill_date=AT,
        payment_due_at=AT,
        currency=currency,
        time_zone="UTC",
        lines=(),
        tax_items=(),
        tax_excluded_amount=Decimal(amount),
        tax_included_amount=Decimal(amount),
        amount_due=Decimal(amount),
        remaining_amount=Decimal(amount),
        documents=(),
        template_version="1",
        last_update_at=AT,
    )


def skipped(account_id: str, cause_id: str, run_type: RunType) -> BillSkipped:
    """Nothing was owed."""
    return BillSkipped(id=f"skipped-{cause_id}-{account_id}", account_id=account_id, run_type=run_type, cause_id=cause_id)


def parked(account_id: str, cause_id: str, run_type: RunType, reason: str = "no tax rate for category standard") -> AccountParked:
    """No bill for now."""
    return AccountParked(id=f"parked-{cause_id}-{account_id}", account_id=account_id, run_type=run_type, cause_id=cause_id, reason=reason)


def passed_over(account_id: str, cause_id: str, run_type: RunType = RunType.ON_CYCLE) -> FeesNotCharged:
    """Fees of January 2024 to January 2025 that are too old to be charged."""
    period = Period(start=calendar_month("2024-01", "Europe/Madrid").start, end=calendar_month("2025-01", "Europe/Madrid").end)
    fees = (UnchargedFee(product_id="line-1", price_id="rental", period=period, period_count=13),)
    return FeesNotCharged(id=f"cut-of-{cause_id}-{account_id}", account_id=account_id, run_type=run_type, cause_id=cause_id, fees=fees)


def refused(account_id: str, cause_id: str, run_type: RunType, reason: str = "unknown account") -> CutRefused:
    """Rating could not cut."""
    return CutRefused(id=f"refused-{cause_id}-{account_id}", account_id=account_id, run_type=run_type, cause_id=cause_id, reason=reason)

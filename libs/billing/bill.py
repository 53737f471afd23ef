"""A bill, assembled from what a cut closed: lines, taxes, totals, dates and derived ids; only its number is still missing.

One onCycle bill per account and period start (`ada.2026-03-01.onCycle`); any number of offCycle ones, told apart by
a digest of their cut (`ada.2026-03-01.offCycle.5f2c0a9d41`). Dates are those of the account's time zone.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from libs.billing.after_tax import discounts_after_tax
from libs.billing.dates import PAYMENT_DUE_DAYS_MAX, next_bill, payment_due
from libs.billing.invariants import LINES_MAX, broken_invariant, unbillable_number
from libs.billing.tax_table import TaxTable
from libs.billing.taxes import Tax, TaxedAmount, levy_taxes
from libs.contracts import (
    AccountChanged,
    AccountParked,
    BillDocument,
    BillIssued,
    BillIssuer,
    BillLine,
    BillSkipped,
    ChargeLine,
    ChargesClosed,
    RunType,
)
from libs.money import UnknownCurrency, minor_unit_decimals, round_to_minor_unit, sum_exactly
from libs.periods import MOMENT, UnknownTimeZone, time_zone

# TMF678's words for a bill of a cycle and for one between cycles.
CATEGORIES = {RunType.ON_CYCLE: "normal", RunType.OFF_CYCLE: "interim"}
# What an exempt account's tax item is called; its rate is zero whatever the table says of the account's category.
EXEMPT_CATEGORY = "exempt"
_EXEMPT = (Tax(EXEMPT_CATEGORY, Decimal(0)),)
# Bill ids go into URLs, indexes and file names, and have to stay under the 256 characters of an id with room to spare.
ACCOUNT_IN_BILL_ID_CHARS_MAX = 160
DIGEST_CHARS = 10
# Calendars end with 9999; due dates and next periods need room after a bill.
YEAR_MAX = 9900
NO_NUMBER_YET = "-"


@dataclass(frozen=True, slots=True)
class BillTerms:
    """What all bills of an operator share: the taxes by category, place and day, who issues, in which words and layout."""

    tax_table: TaxTable
    issuer: BillIssuer
    locale: str
    template_version: str


@dataclass(frozen=True, slots=True)
class BillDraft:
    """A whole bill but for its legal number, which only the transaction that keeps the bill can give."""

    unnumbered: BillIssued

    def numbered(self, bill_no: str) -> BillIssued:
        """The bill with its legal number."""
        return self.unnumbered.model_copy(update={"bill_no": bill_no})


def assemble_bill(charges: ChargesClosed, account: AccountChanged | None, terms: BillTerms) -> BillDraft | BillSkipped | AccountParked:
    """Decide what becomes of a cut. `account` is None when invoicing never heard of it."""
    if not charges.lines:
        return BillSkipped(id=charges.id, account_id=charges.account_id, run_type=charges.run_type, cause_id=charges.cause_id)
    if account is None:
        return park(charges, f"account {charges.account_id} is not known to invoicing; create or update it, then bill again")
    obstacle = _obstacle(charges, account, terms)
    if obstacle is not None:
        return park(charges, obstacle)
    taxes = _taxes(charges, account, terms)
    if isinstance(taxes, str):
        return park(charges, taxes)
    bill = _assemble(charges, account, terms, taxes)
    broken = broken_invariant(bill)
    if broken is not None:
        return park(charges, f"the bill would break an invariant: {broken}")
    return BillDraft(bill)


def park(charges: ChargesClosed, reason: str, *, is_final: bool | None = None) -> AccountParked:
    """The cut's charges are not billed, because of `reason`.

    A bill run asks for the same cut again once the reason is mended. Nobody does for a bill on demand: unless said otherwise, its
    parking is final, and the charges go to the next cut.
    """
    return AccountParked(
        id=charges.id,
        account_id=charges.account_id,
        run_type=charges.run_type,
        cause_id=charges.cause_id,
        reason=reason[:4000],
        is_final=charges.run_type is RunType.OFF_CYCLE if is_final is None else is_final,
    )


def bill_id(charges: ChargesClosed, zone_name: str) -> str:
    """The derived id of the bill that a cut leads to."""
    account = charges.account_id
    if len(account) > ACCOUNT_IN_BILL_ID_CHARS_MAX:
        account = _digest(account)
    first_day = charges.period.start.astimezone(time_zone(zone_name)).date()
    kind = RunType.ON_CYCLE.value if charges.run_type is RunType.ON_CYCLE else f"{RunType.OFF_CYCLE.value}.{_digest(charges.id)}"
    return f"{account}.{first_day}.{kind}"


def _obstacle(charges: ChargesClosed, account: AccountChanged, terms: BillTerms) -> str | None:
    try:
        minor_unit_decimals(charges.currency)
        time_zone(account.time_zone)
    except (UnknownCurrency, UnknownTimeZone) as error:
        return f"{error}; correct it on account {account.id}"
    if charges.currency != account.currency:
        return f"charges are in {charges.currency}, account {account.id} is billed in {account.currency}; make them the same currency"
    if not 0 <= account.payment_due_days <= PAYMENT_DUE_DAYS_MAX:
        return f"payment is due after {account.payment_due_days} days; set 0 to {PAYMENT_DUE_DAYS_MAX} on account {account.id}"
    if max(charges.closed_at, charges.period.end).year > YEAR_MAX:
        return f"the period ends in {charges.period.end.year}, and no due date can be given after {YEAR_MAX}; check the cut's period"
    if len(charges.lines) > LINES_MAX:
        return f"{len(charges.lines)} lines are more than the {LINES_MAX} that a bill can carry; cut the charges in smaller parts"
    return unbillable_number(charges.lines, charges.currency)


def _taxes(charges: ChargesClosed, account: AccountChanged, terms: BillTerms) -> list[tuple[Tax, ...]] | str:
    """The taxes of each line on their day, the last one of its time or that of the bill where that is earlier; or why there are none."""
    zone = time_zone(account.time_zone)
    found: dict[tuple[str, datetime], tuple[Tax, ...]] = {}
    taxes = []
    for line in charges.lines:
        place = _category(line, account), line.period.end
        if place not in found:
            day = min(line.period.end - MOMENT, charges.closed_at).astimezone(zone).date()
            levied = _EXEMPT if account.tax_exempt else terms.tax_table.taxes(place[0], account.address, day)
            if levied is None:
                return _untaxed(place[0], day, account, terms)
            found[place] = levied
        taxes.append(found[place])
    return taxes


def _untaxed(category: str, day: date, account: AccountChanged, terms: BillTerms) -> str:
    known = terms.tax_table.categories(account.address)
    if category not in known:
        return f"no tax rate for category {category!r}; add it to the tax rate table (it knows {', '.join(known)}) or correct the account"
    return f"no tax rate for category {category!r} on {day}; add one that holds then to the tax rate table, 0 if there is no tax"


def _assemble(charges: ChargesClosed, account: AccountChanged, terms: BillTerms, taxes: Sequence[tuple[Tax, ...]]) -> BillIssued:
    amounts = [round_to_minor_unit(line.amount, charges.currency) for line in charges.lines]
    taxed = [TaxedAmount(amount, levied, line.is_tax_included) for amount, line, levied in zip(amounts, charges.lines, taxes, strict=True)]
    levy = levy_taxes(taxed, charges.currency)
    lines = tuple(
        BillLine(**{**dict(line), "amount": amount, "taxes": shares})
        for line, amount, shares in zip(charges.lines, levy.net_amounts, levy.shares, strict=True)
    )
    tax_excluded = sum_exactly(levy.net_amounts)
    tax_included = sum_exactly([tax_excluded, *(item.amount for item in levy.items)])
    discounts = discounts_after_tax(charges.discounts_after_tax, lines, charges.currency)
    amount_due = sum_exactly([tax_included, *(discount.amount for discount in discounts)])
    new_id = bill_id(charges, account.time_zone)
    return BillIssued(
        id=new_id,
        bill_no=NO_NUMBER_YET,
        account_id=account.id,
        account_name=account.name,
        address=account.address,
        related_party_id=account.related_party_id,
        related_party_name=account.related_party_name,
        run_type=charges.run_type,
        category=CATEGORIES[charges.run_type],
        cut_id=charges.id,
        cause_id=charges.cause_id,
        period=charges.period,
        bill_date=charges.closed_at,
        payment_due_at=payment_due(charges.closed_at, account.payment_due_days, account.time_zone),
        next_bill_at=next_bill(charges.period, account.time_zone) if charges.run_type is RunType.ON_CYCLE else None,
        currency=charges.currency,
        time_zone=account.time_zone,
        lines=lines,
        tax_items=levy.items,
        discounts=discounts,
        tax_excluded_amount=tax_excluded,
        tax_included_amount=tax_included,
        amount_due=amount_due,
        remaining_amount=amount_due,
        documents=(BillDocument(id=f"{new_id}.pdf", name=f"{new_id}.pdf", mime_type="application/pdf"),),
        template_version=terms.template_version,
        locale=terms.locale,
        issuer=terms.issuer,
        last_update_at=charges.closed_at,
    )


def _category(line: ChargeLine, account: AccountChanged) -> str:
    return EXEMPT_CATEGORY if account.tax_exempt else line.tax_category or account.tax_category


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARS]

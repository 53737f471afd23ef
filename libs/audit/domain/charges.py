"""A charge against its usages, the cut that closed it and the bill that carries it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.audit.domain.difference import Category, Difference
from libs.billing.final_bills import closed_since
from libs.contracts import AppliedTax, BillLine, Charge, ChargeKind, ChargeLine, ChargeState
from libs.money import sum_exactly, sum_fractions
from libs.pricing.charge_amount import is_rounded_with_others, line_amount, line_amounts


@dataclass(frozen=True, slots=True)
class Recount:
    """The usages of a charge, added again: numerators per denominator."""

    usage_count: int
    quantity: Decimal
    sums: Mapping[str, Decimal]


NOTHING_COUNTED = Recount(0, Decimal(0), {})


@dataclass(frozen=True, slots=True)
class CutLine:
    """A line of a cut's answer; `is_returned` when the cut will never be billed, and gave its charges back."""

    cut_id: str
    line: ChargeLine
    is_returned: bool = False


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line of a bill."""

    bill_id: str
    line: ChargeLine
    taxes: tuple[AppliedTax, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """An account that was closed, when that is known."""

    account_id: str
    cycle: str
    closed_at: datetime | None


def check_usages(charge: Charge, recount: Recount) -> Iterator[Difference]:
    """A charge of usage, or one that corrects it, is the sum of its usages; a fee has none."""
    if charge.kind is not ChargeKind.USAGE and not (charge.kind is ChargeKind.ADJUSTMENT and charge.usage_type is not None):
        if recount.usage_count:
            yield Difference(
                category=Category.CHARGE_USAGES, id=charge.id, expected="no usage on a fee", found=f"{recount.usage_count} usages"
            )
        return
    for what, expected, found in (
        ("usages", recount.usage_count, charge.usage_count),
        ("charged quantity", recount.quantity, charge.quantity),
        ("exact amount", sum_fractions(recount.sums), sum_fractions(charge.sums)),
        ("sums", _shown(recount.sums), _shown(charge.sums)),
    ):
        if expected != found:
            yield Difference(category=Category.CHARGE_USAGES, id=charge.id, expected=f"{what} {expected}", found=f"{found}")


def check_amount(charge: Charge) -> Iterator[Difference]:
    """A closed charge has its sum and what its tiers make of its quantity, rounded once; an open one has no amount.

    What is rounded with the other charges of its cut is checked with them.
    """
    if charge.state is not ChargeState.OPEN and is_rounded_with_others(charge):
        return
    yield from _check_amount(charge, None if charge.state is ChargeState.OPEN else line_amount(charge))


def check_amounts_together(charges: Mapping[str, Charge], cuts: Iterable[Sequence[str]]) -> Iterator[Difference]:
    """The charges of one account that were rounded with others, by id: each has what the first cut that closed it made of its own sum.

    `cuts` are the charges that each cut closed, in the order of lines and of time.
    """
    left = dict(charges)
    for charge_ids in cuts:
        together = [left.pop(id) for id in charge_ids if id in left]
        as_cut = [charge.model_copy(update={"state": ChargeState.CLOSED}) for charge in together]
        for charge, amount in zip(together, line_amounts(as_cut), strict=True):
            yield from _check_amount(charge, amount)
    for charge in left.values():
        yield _of_cut(charge, "a line of a cut, rounded with the others", "no cut")


def check_cut(charge: Charge, lines: Sequence[CutLine]) -> Iterator[Difference]:
    """A closed charge is one line of the cut that closed it, unchanged; an open one is none.

    Besides, it may be a line of cuts that returned it before; one that waits for its next cut is on no others.
    """
    if charge.state is ChargeState.OPEN:
        if lines:
            yield _of_cut(charge, "open, on no cut", f"cut by {_listed(line.cut_id for line in lines)}")
        return
    holding = [line.cut_id for line in lines if not line.is_returned]
    if charge.state is ChargeState.RETURNED:
        if holding or charge.cut_id not in [line.cut_id for line in lines]:
            yield _of_cut(charge, f"returned by cut {charge.cut_id}, on no other", f"lines of {_listed(line.cut_id for line in lines)}")
            return
    elif holding != [charge.cut_id]:
        yield _of_cut(charge, f"one line of cut {charge.cut_id}", f"lines of {_listed(line.cut_id for line in lines)}")
        return
    for line in lines:
        yield from _check_line(Category.CHARGE_CUT, charge, line.line, f"cut {line.cut_id}")


def check_bill_lines(charge: Charge, lines: Sequence[BilledLine]) -> Iterator[Difference]:
    """A billed charge is one line of the bill it names, with the same amount and taxes; no charge is on two bills."""
    bills = [line.bill_id for line in lines]
    if len(bills) > 1:
        yield Difference(category=Category.CHARGE_BILLED_TWICE, id=charge.id, expected="at most one bill", found=_listed(bills))
    elif not bills and charge.state is ChargeState.BILLED:
        yield Difference(category=Category.CHARGE_NOT_BILLED, id=charge.id, expected=f"a line of bill {charge.bill_id}", found="no bill")
    elif bills and (charge.state is not ChargeState.BILLED or charge.bill_id != bills[0]):
        found = f"{charge.state}, bill {charge.bill_id}"
        yield Difference(category=Category.CHARGE_NOT_BILLED, id=charge.id, expected=f"billed on {bills[0]}", found=found)
    elif bills:
        yield from _check_line(Category.BILL_LINE, charge, lines[0].line, f"bill {bills[0]}")
        if charge.applied_taxes != lines[0].taxes:
            expected, found = _taxes(lines[0].taxes), _taxes(charge.applied_taxes)
            yield Difference(category=Category.BILL_LINE, id=charge.id, expected=f"taxes of bill {bills[0]}: {expected}", found=found)


def check_closed_account(closing: Closing, last_period: str | None, charge_ids: Sequence[str]) -> Iterator[Difference]:
    """A closed account owes nothing that is on no bill once runs pass it by; `last_period` is the last that its cycle was run for."""
    if last_period is None or (closing.closed_at is not None and closing.closed_at >= closed_since(last_period)):
        return
    for charge_id in charge_ids:
        yield Difference(
            category=Category.CHARGE_LEFT_BEHIND,
            id=charge_id,
            expected="a bill",
            found=f"none, nor will there be: account {closing.account_id} was closed at {closing.closed_at}",
        )


def missing_charge(
    charge_id: str, recounts: Sequence[Recount], cut_lines: Sequence[CutLine], bill_lines: Sequence[BilledLine]
) -> Difference:
    """Something refers to a charge that is not there."""
    usages = f"{sum(recount.usage_count for recount in recounts)} usages"
    owners = [usages, *(f"cut {line.cut_id}" for line in cut_lines), *(f"bill {line.bill_id}" for line in bill_lines)]
    return Difference(category=Category.CHARGE_MISSING, id=charge_id, expected=f"a charge, for {_listed(owners)}", found="no charge")


def _check_line(category: Category, charge: Charge, line: ChargeLine, owner: str) -> Iterator[Difference]:
    for what in ("amount", "usage_count", "quantity", "product_id", "price_id", "period", "is_tax_included"):
        expected, found = getattr(charge, what), getattr(line, what)
        if what == "amount" and charge.is_tax_included and isinstance(line, BillLine):
            # The bill took the taxes out of the price.
            found = sum_exactly([line.amount, *(tax.amount for tax in line.taxes)])
        if expected != found:
            yield Difference(category=category, id=charge.id, expected=f"{what} {expected} on {owner}", found=f"{found}")


def _check_amount(charge: Charge, expected: Decimal | None) -> Iterator[Difference]:
    if charge.amount != expected:
        yield Difference(
            category=Category.CHARGE_AMOUNT,
            id=charge.id,
            expected=f"{expected} {charge.currency}",
            found=f"{charge.amount} {charge.currency}",
        )


def _of_cut(charge: Charge, expected: str, found: str) -> Difference:
    return Difference(category=Category.CHARGE_CUT, id=charge.id, expected=expected, found=found)


def _shown(sums: Mapping[str, Decimal]) -> str:
    return " + ".join(f"{int(numerator)}/{denominator}" for denominator, numerator in sorted(sums.items())) or "0"


def _taxes(taxes: Sequence[AppliedTax]) -> str:
    return _listed(f"{tax.category} {tax.rate} % {tax.amount}" for tax in taxes)


def _listed(names: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(names) or "none"

"""The closing of charges by a cut: each is rounded once, or all together where books say so, and becomes a bill line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.contracts import Charge, ChargeLine, ChargesClosed, ChargeState, PeriodCut, UnchargedFee
from libs.contracts.adjustments import DiscountDue
from libs.periods import Period, month_containing
from libs.pricing.charge_amount import line_amounts
from services.rating.domain.fees import ChargedAs
from services.rating.domain.holdings import Account
from services.rating.domain.months import label_at


@dataclass(frozen=True, slots=True)
class Closing:
    """The decision of a cut.

    `closed` are charges that were there, `made` the fees and adjustments. `month_labels` are the months whose count of cuts it raises.
    `new_products` are those that no cut met before. `charged_as` has the state by which changed products were charged, or None where
    the next cut must compare the whole year.
    """

    answer: ChargesClosed
    closed: tuple[Charge, ...]
    made: tuple[Charge, ...]
    month_labels: frozenset[str]
    new_products: frozenset[str] = frozenset()
    charged_as: Mapping[str, ChargedAs | None] = field(default_factory=dict)

    def adjusted(self, adjustments: Iterable[Charge], discounts_after_tax: tuple[DiscountDue, ...]) -> "Closing":
        """Return the closing with adjustments of its charges."""
        made = _closed(list(adjustments), self.answer.id, self.answer.closed_at)
        if not made and not discounts_after_tax:
            return self
        changed = {"lines": (*self.answer.lines, *map(ChargeLine.of, made)), "discounts_after_tax": discounts_after_tax}
        return replace(self, answer=self.answer.model_copy(update=changed), made=(*self.made, *made))


def close(
    cut: PeriodCut,
    account: Account,
    due: Iterable[Charge],
    fees: Iterable[Charge],
    now: datetime,
    fees_not_charged: tuple[UnchargedFee, ...] = (),
) -> Closing:
    """Close the charges that are due with a cut, and its fees."""
    due = sorted(due, key=_line_order)
    charges = _closed([*due, *sorted(fees, key=_line_order)], cut.id, now)
    closed, made = charges[: len(due)], charges[len(due) :]
    # Mostly one instant for all.
    starts = {charge.period.start for charge in closed} | ({cut.period.start} if cut.period is not None else set())
    answer = ChargesClosed(
        id=cut.id,
        account_id=account.id,
        run_type=cut.run_type,
        period=cut.period or _covered(cut, account, closed),
        cause_id=cut.cause_id,
        currency=account.currency,
        closed_at=now,
        lines=tuple(map(ChargeLine.of, charges)),
        fees_not_charged=fees_not_charged,
    )
    return Closing(answer, closed, made, frozenset(label_at(start, account.time_zone) for start in starts))


def _line_order(charge: Charge) -> tuple[str, datetime, str]:
    return charge.product_id, charge.period.start, charge.id


def _closed(charges: Sequence[Charge], cut_id: str, now: datetime) -> tuple[Charge, ...]:
    state = {"state": ChargeState.CLOSED, "cut_id": cut_id, "updated_at": now}
    amounts = line_amounts(charges)
    return tuple(charge.model_copy(update={**state, "amount": amount}) for charge, amount in zip(charges, amounts, strict=True))


def _covered(cut: PeriodCut, account: Account, closed: Sequence[Charge]) -> Period:
    """Return the period of a bill on demand: from the first month it bills up to the request, or to the end of its last month."""
    month = month_containing(cut.requested_at, account.time_zone)
    start = min((charge.period.start for charge in closed), default=month.start)
    end = max((min(charge.period.end, cut.requested_at) for charge in closed), default=cut.requested_at)
    if start < end:
        return Period(start=start, end=end)
    return Period(start=start, end=max((charge.period.end for charge in closed), default=month.end))

"""The cut: an account's charges are closed and become the lines of a bill.

A cut of a cycle closes what started before the end of its period, and charges fees. A cut on demand closes whatever is unbilled. The
discounts, caps and commitments of all these charges come last. Closed lines never change: later usage opens the next sequence of its
month. Charges that a cut returned are closed again as they are, by the next cut.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from libs.contracts import Charge, CutRefused, PeriodCut, UnchargedFee
from libs.pricing import RateBooks
from services.rating.domain.cuts.account_to_cut import AccountToCut, products_at
from services.rating.domain.cuts.adjustments import adjustments, discounts_due, first_adjusted, may_be_adjusted
from services.rating.domain.cuts.closing import Closing, close
from services.rating.domain.fees import WrongFeeCurrency, fees_out_of_reach, fees_to_charge, is_older


def decide_cut(to_cut: AccountToCut | None, cut: PeriodCut, books: RateBooks, now: datetime) -> Closing | CutRefused:
    """Return the charges that a cut closes and makes, or the reason why it cannot be made."""
    if to_cut is None:
        return refuse(cut, f"rating knows no account {cut.account_id}")
    try:
        fees = _fees(to_cut, cut, books, now)
    except WrongFeeCurrency as error:
        return refuse(cut, str(error))
    account, products = to_cut.account, to_cut.products
    closing = close(cut, account, to_cut.due(cut), fees, now, _fees_not_charged(to_cut, cut, books))
    if _is_adjusted(to_cut, books):
        charges = (*closing.closed, *closing.made)
        made = adjustments(account, charges, products, books, cut, now, to_cut.closed_before)
        closing = closing.adjusted(made, discounts_due(account, charges, products, books, cut, now))
    repeated = _repeated_id(closing)
    if repeated is not None:
        return refuse(cut, f"two charges of the cut would have the id {repeated}: report this fault")
    return with_marks(closing, to_cut, cut)


def adjusted_since(to_cut: AccountToCut, cut: PeriodCut, books: RateBooks, now: datetime) -> datetime | None:
    """Return from when on charges that earlier cuts closed matter to the adjustments of a cut, or None where it makes none."""
    if not _is_adjusted(to_cut, books):
        return None
    try:
        charges = [*to_cut.due(cut), *_fees(to_cut, cut, books, now)]
        return first_adjusted(to_cut.account, charges, to_cut.products, books, cut)
    except WrongFeeCurrency:
        return None


def with_marks(closing: Closing, to_cut: AccountToCut, cut: PeriodCut) -> Closing:
    """Return the closing with what the next cut must know of the products."""
    if cut.period is None:
        return closing
    history, older = to_cut.fees, is_older(to_cut.account, cut.period)
    if not history.new_products and not history.changed:
        return closing
    marks = {id: None if older else now for id, now in history.changed.items()}
    return replace(closing, new_products=frozenset(history.new_products), charged_as=marks)


def refuse(cut: PeriodCut, reason: str) -> CutRefused:
    """Return the refusal of a cut. It decides nothing: the same cut may be made later."""
    return CutRefused(id=cut.id, account_id=cut.account_id, run_type=cut.run_type, cause_id=cut.cause_id, reason=reason)


def _is_adjusted(to_cut: AccountToCut, books: RateBooks) -> bool:
    """Return whether the cut may make adjustments. The fees that it charges have offerings of the products or of fees that it corrects."""
    charges = (*to_cut.unbilled, *to_cut.fees.charges)
    return may_be_adjusted(to_cut.account, charges, to_cut.products, books)


def _fees(to_cut: AccountToCut, cut: PeriodCut, books: RateBooks, now: datetime) -> list[Charge]:
    if cut.period is None:
        return []
    fees = fees_to_charge(to_cut.account, products_at(cut, to_cut.products), cut.period, books, to_cut.fees)
    return [fee.charge(to_cut.account, now) for fee in fees]


def _fees_not_charged(to_cut: AccountToCut, cut: PeriodCut, books: RateBooks) -> tuple[UnchargedFee, ...]:
    if cut.period is None:
        return ()
    return fees_out_of_reach(to_cut.account, products_at(cut, to_cut.products), cut.period, books, to_cut.fees)


def _repeated_id(closing: Closing) -> str | None:
    """Return an id that two charges of the closing have. MongoDB would refuse the second one at every try."""
    counts = Counter(charge.id for charge in (*closing.closed, *closing.made))
    return next((id for id, count in counts.items() if count > 1), None)

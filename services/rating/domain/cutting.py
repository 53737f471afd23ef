"""The cut: what an account owes is closed, each charge rounded once (or all together, where books say so), and the fees are added.

An onCycle cut closes what started before the end of its period and adds recurring fees; an offCycle one closes whatever
is unbilled. Closed lines never change; usage that arrives later opens the next sequence of its own month. A charge that an
earlier cut returned is closed again, as it is.

What is made of all of them (discounts, caps, commitments) comes last, and is closed with them. What a cut made that will never
be billed is returned like any other charge, and the next cut makes no more than the difference to it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction

from libs.contracts import Charge, ChargeKind, ChargeLine, ChargesClosed, ChargeState, CutRefused, PeriodCut, RunType, UnchargedFee
from libs.contracts.adjustments import DiscountDue
from libs.periods import MOMENT, Period, month_containing
from libs.pricing import RateBooks
from libs.pricing.charge_amount import line_amounts
from services.rating.domain.adjusting import adjustments, are_adjusted, discounts_due, first_adjusted
from services.rating.domain.charged_as import ChargedAs, charged_as, is_charged_alike
from services.rating.domain.fee_corrections import CORRECTED_BACK, Reckoning
from services.rating.domain.fee_prices import WrongFeeCurrency
from services.rating.domain.fees import ending_with, fee_ids, recurring_fees
from services.rating.domain.fees_out_of_reach import FeeOutOfReach, fees_out_of_reach, told
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import label_at, label_of
from services.rating.domain.one_time_fees import one_time_fees
from services.rating.domain.paid_fees import PaidFee, paid_fees

# How far before its period a cut charges fees that no cut has charged.
CAUGHT_UP_BACK = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Closing:
    """The decision of a cut: its answer, the charges it closes, those it makes (fees, adjustments), the months whose count it raises."""

    answer: ChargesClosed
    closed: tuple[Charge, ...]
    made: tuple[Charge, ...]
    month_labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Owed:
    """What a cut is decided on: the account, its charges that are open or returned, and its products.

    `newcomers` are the products that no cut of a cycle has met before. `known` is as what the last cut of a cycle charged each product;
    `reckonings` are of those whose fees are to be corrected, and `earlier` then the periods of the cycle that were cut.
    """

    account: Account
    unbilled: Sequence[Charge]
    products: Sequence[Product]
    newcomers: Sequence[Product] = ()
    known: Mapping[str, ChargedAs] = field(default_factory=dict)
    earlier: Sequence[Period] = ()
    reckonings: Mapping[str, Reckoning] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cutter:
    """Decides cuts by the rate books, at one instant."""

    books: RateBooks
    now: datetime

    def fee_ids(self, cut: PeriodCut, owed: Owed) -> list[str]:
        """The charges on which the fees of the cut depend, whether an earlier cut charged them or not."""
        try:
            recurring = [
                id
                for period, products in self._fees_of(cut, owed)
                for id in fee_ids(owed.account, products, period, self.books, _reckonings(cut, owed, period))
            ]
            # Of a product that no cut has met nothing was charged.
            passed_over = [fee.id for fee in self._out_of_reach(cut, owed) if owed.account.billed_until is not None]
            return recurring + [fee.id for fee in self._one_time_fees(cut, owed)] + passed_over
        except WrongFeeCurrency:
            return []

    def fees_corrected_since(self, cut: PeriodCut, owed: Owed) -> datetime | None:
        """From when on the cut must know what was charged of fees; None where it corrects none, as mostly."""
        if cut.period is None or not self._to_correct(cut, owed):
            return None
        return cut.period.start - CORRECTED_BACK

    def reckoned(self, cut: PeriodCut, owed: Owed, fees_paid: Iterable[Charge]) -> Owed:
        """With what it corrects fees by: `fees_paid` are all charges of the account that count since then."""
        paid = paid_fees(fees_paid)
        return replace(owed, reckonings={product.id: self._reckoning(owed, product, paid) for product in self._to_correct(cut, owed)})

    def known_now(self, cut: PeriodCut, owed: Owed) -> dict[str, ChargedAs | None]:
        """As what the cut charged those products that were known otherwise; None where the next must look at the whole year."""
        is_older = _is_older(cut, owed.account)
        changed = self._known_otherwise(cut, owed)
        return {product.id: None if is_older else charged_as(owed.account, product, self.books) for product in changed}

    def adjusted_since(self, cut: PeriodCut, owed: Owed, charged: Mapping[str, Fraction]) -> datetime | None:
        """Where charges are made of those that the cut closes: from when on it must know what earlier cuts closed."""
        due = [charge for charge in owed.unbilled if _is_due(charge, cut)]
        if not are_adjusted(owed.account, due, owed.products, self.books, cut, self.now):
            return None
        try:
            return first_adjusted(owed.account, [*due, *self._fees(cut, owed, charged)], owed.products, self.books, cut)
        except WrongFeeCurrency:
            return None

    def decide(
        self, cut: PeriodCut, owed: Owed | None, charged: Mapping[str, Fraction], closed_before: Sequence[Charge] | None = None
    ) -> Closing | CutRefused:
        """Close what is owed, with the fees that are not among the `charged` ones, which have these amounts, or say why it cannot be.

        `closed_before` is what earlier cuts closed and keep, where the cut adjusts; else None.
        """
        if owed is None:
            return refuse(cut, f"rating knows no account {cut.account_id}")
        try:
            fees = self._fees(cut, owed, charged)
        except WrongFeeCurrency as error:
            return refuse(cut, str(error))
        closing = close(cut, owed.account, owed.unbilled, fees, self.now, told(self._out_of_reach(cut, owed), charged))
        charges = (*closing.closed, *closing.made)
        made: list[Charge] = []
        if closed_before is not None:
            made = adjustments(owed.account, charges, owed.products, self.books, cut, self.now, closed_before)
        closing = adjusted(closing, cut, made, discounts_due(owed.account, charges, owed.products, self.books, cut, self.now))
        repeated = _repeated_id(closing)
        return closing if repeated is None else refuse(cut, f"two charges of the cut would have the id {repeated}: report this fault")

    def _fees(self, cut: PeriodCut, owed: Owed, charged: Mapping[str, Fraction]) -> list[Charge]:
        recurring = self._recurring_fees(cut, owed, charged)
        return recurring + [fee for fee in self._one_time_fees(cut, owed) if fee.id not in charged]

    def _recurring_fees(self, cut: PeriodCut, owed: Owed, charged: Mapping[str, Fraction]) -> list[Charge]:
        fees = [
            fee
            for period, products in self._fees_of(cut, owed)
            for fee in recurring_fees(owed.account, products, period, self.books, self.now, charged, _reckonings(cut, owed, period))
            # What is due in advance of the next bill, the billed period itself says.
            if cut.period is None or period == cut.period or fee.period.start < cut.period.start
        ]
        return list({fee.id: fee for fee in fees}.values())

    def _one_time_fees(self, cut: PeriodCut, owed: Owed) -> list[Charge]:
        fees = [
            fee
            for period, products in self._fees_of(cut, owed)
            for fee in one_time_fees(owed.account, products, period, self.books, self.now, owed.newcomers)
        ]
        return list({fee.id: fee for fee in fees}.values())

    def _fees_of(self, cut: PeriodCut, owed: Owed) -> Iterator[tuple[Period, Sequence[Product]]]:
        """Yield the billed period with all products, and each month of the year before it with the products that no cut charged for it.

        These are the newcomers, and all products in a month after the last one that was cut.
        """
        if cut.period is None:
            return
        yield cut.period, _ending(cut, owed.products)
        billed_until = owed.account.billed_until
        for month in _months_before(cut.period, owed.account.time_zone):
            is_passed_over = billed_until is not None and billed_until <= month.start
            uncharged = owed.products if is_passed_over else owed.newcomers
            if any(product.started_at < month.end for product in uncharged):
                yield month, _ending(cut, uncharged)
            elif not is_passed_over:
                return

    def _out_of_reach(self, cut: PeriodCut, owed: Owed) -> list[FeeOutOfReach]:
        """Return the fees that were due before the first month for which they are caught up, and that no cut was made for."""
        if cut.period is None:
            return []
        newcomers = {product.id for product in owed.newcomers}
        # Met, but not known until when: what it has paid is not known either.
        paid_until = owed.account.billed_until or cut.period.start
        since = [
            (product, product.started_at if product.id in newcomers else max(product.started_at, paid_until))
            for product in _ending(cut, owed.products)
        ]
        old = [(product, at) for product, at in since if at < cut.period.start - CAUGHT_UP_BACK]
        if not old:
            return []
        *_, first_month = (cut.period, *_months_before(cut.period, owed.account.time_zone))
        return fees_out_of_reach(owed.account, old, first_month.start, self.books)

    def _to_correct(self, cut: PeriodCut, owed: Owed) -> list[Product]:
        if _is_older(cut, owed.account):
            return []
        # What no cut has met has paid nothing.
        newcomers = {product.id for product in owed.newcomers}
        return [product for product in self._known_otherwise(cut, owed) if product.id not in newcomers]

    def _known_otherwise(self, cut: PeriodCut, owed: Owed) -> list[Product]:
        """The products that the last cut of a cycle charged as something else, or by other fees."""
        if cut.period is None:
            return []
        return [
            product
            for product in _ending(cut, owed.products)
            if not is_charged_alike(charged_as(owed.account, product, self.books), owed.known.get(product.id))
        ]

    def _reckoning(self, owed: Owed, product: Product, paid: Mapping[str, Mapping[str, PaidFee]]) -> Reckoning:
        cut_labels = frozenset(label_of(period, owed.account.time_zone) for period in owed.earlier)
        return Reckoning(_known_before(owed, product), paid.get(product.id, {}), cut_labels)


def close(
    cut: PeriodCut,
    account: Account,
    unbilled: Iterable[Charge],
    fees: Iterable[Charge],
    now: datetime,
    fees_not_charged: tuple[UnchargedFee, ...] = (),
) -> Closing:
    """Close the charges that the cut is about. `fees` are those of its period that no cut has charged yet."""
    due = sorted((charge for charge in unbilled if _is_due(charge, cut)), key=_line_order)
    charges = _closed([*due, *sorted(fees, key=_line_order)], cut, now)
    closed, made = charges[: len(due)], charges[len(due) :]
    # Mostly one instant for all.
    starts = {charge.period.start for charge in closed} | ({cut.period.start} if cut.period is not None else set())
    labels = frozenset(label_at(start, account.time_zone) for start in starts)
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
    return Closing(answer, closed, made, labels)


def adjusted(closing: Closing, cut: PeriodCut, adjustments: Iterable[Charge], discounts_after_tax: tuple[DiscountDue, ...]) -> Closing:
    """The same with what is made of the charges that it closes."""
    adjustments = list(adjustments)
    if not adjustments and not discounts_after_tax:
        return closing
    made = _closed(adjustments, cut, closing.answer.closed_at)
    told = {"lines": (*closing.answer.lines, *map(ChargeLine.of, made)), "discounts_after_tax": discounts_after_tax}
    return replace(closing, answer=closing.answer.model_copy(update=told), made=(*closing.made, *made))


def refuse(cut: PeriodCut, reason: str) -> CutRefused:
    """A cut that cannot be made. It decides nothing: the same cut, asked again, is looked at anew."""
    return CutRefused(id=cut.id, account_id=cut.account_id, run_type=cut.run_type, cause_id=cut.cause_id, reason=reason)


def one_per_account(cuts: Iterable[PeriodCut]) -> list[list[PeriodCut]]:
    """Rounds in which no account occurs twice, in order per account: each cut sees what the one before it left."""
    rounds: list[dict[str, PeriodCut]] = []
    seen_count: dict[str, int] = {}
    for cut in {cut.id: cut for cut in cuts}.values():
        number = seen_count.get(cut.account_id, 0)
        seen_count[cut.account_id] = number + 1
        if number == len(rounds):
            rounds.append({})
        rounds[number][cut.account_id] = cut
    return [list(one.values()) for one in rounds]


def _ending(cut: PeriodCut, products: Sequence[Product]) -> Sequence[Product]:
    return products if cut.account_closed_at is None else ending_with(cut.account_closed_at, products)


def _months_before(period: Period, zone_name: str) -> Iterator[Period]:
    """Yield the calendar months before a period, the latest first, as far back as fees are caught up; the latest ends with it."""
    month = month_containing(period.start - MOMENT, zone_name)
    while month.start >= period.start - CAUGHT_UP_BACK:
        yield Period(start=month.start, end=min(month.end, period.start))
        month = month_containing(month.start - MOMENT, zone_name)


def _is_older(cut: PeriodCut, account: Account) -> bool:
    """Whether the cycle was cut for a later time before: what that charged is not this cut's to correct."""
    return cut.period is not None and account.billed_until is not None and account.billed_until > cut.period.end


def _known_before(owed: Owed, product: Product) -> Product | None:
    """As what the product was charged last; None where that is not known."""
    mark = owed.known.get(product.id)
    if mark is not None:
        return mark.product
    # The cuts that left no mark on the account either looked back only where one of these was told, and so does the first one after them.
    has_news = product.ended_at is not None or product.suspensions or product.former_offerings
    return None if has_news or owed.account.billed_until is not None else product


def _reckonings(cut: PeriodCut, owed: Owed, period: Period) -> Mapping[str, Reckoning]:
    """Fees are corrected once, with the billed period."""
    return owed.reckonings if period == cut.period else {}


def _repeated_id(closing: Closing) -> str | None:
    """Return an id that two charges of the closing have. MongoDB would refuse the second one at every try."""
    counts = Counter(charge.id for charge in (*closing.closed, *closing.made))
    return next((id for id, count in counts.items() if count > 1), None)


def _is_due(charge: Charge, cut: PeriodCut) -> bool:
    # A fee may have been charged in advance of its period, and was returned: it does not wait for that.
    is_fee = charge.kind in (ChargeKind.RECURRING, ChargeKind.ONE_TIME)
    return cut.run_type is RunType.OFF_CYCLE or cut.period is None or is_fee or charge.period.start < cut.period.end


def _line_order(charge: Charge) -> tuple[str, datetime, str]:
    return charge.product_id, charge.period.start, charge.id


def _closed(charges: Sequence[Charge], cut: PeriodCut, now: datetime) -> tuple[Charge, ...]:
    told = {"state": ChargeState.CLOSED, "cut_id": cut.id, "updated_at": now}
    amounts = line_amounts(charges)
    return tuple(charge.model_copy(update={**told, "amount": amount}) for charge, amount in zip(charges, amounts, strict=True))


def _covered(cut: PeriodCut, account: Account, closed: Sequence[Charge]) -> Period:
    """The period of an offCycle bill: from the first month it bills up to the request, or to the end of its last month."""
    month = month_containing(cut.requested_at, account.time_zone)
    start = min((charge.period.start for charge in closed), default=month.start)
    end = max((min(charge.period.end, cut.requested_at) for charge in closed), default=cut.requested_at)
    if start < end:
        return Period(start=start, end=end)
    return Period(start=start, end=max((charge.period.end for charge in closed), default=month.end))

"""Usages priced on trial: what a customer who has used nothing yet would pay for them, by the functions that rating and bills use.

Each usage is priced and explained in its turn, drawing from allowances that were full before the first. Then each month is closed
and billed by itself, its lines with the discounts and the spending cap that they give reason to. Fees and minimum commitments are
the product's, not the usages', and are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from libs.billing import BillDraft, BillTerms, TaxTable, assemble_bill
from libs.billing.adjustments import Adjustment, adjust
from libs.billing.discounts import discounts_of_bill
from libs.billing.remainders import SummedLine
from libs.contracts import (
    AccountChanged,
    AccountParked,
    AccountState,
    AllowanceUse,
    AppliedTax,
    BillDiscount,
    BillIssued,
    BillIssuer,
    Charge,
    ChargeKind,
    ChargeLine,
    ChargesClosed,
    ChargeTiers,
    LineRounding,
    RejectionReason,
    RunType,
    UsageReceived,
)
from libs.contracts.adjustments import NO_ADJUSTMENTS, DiscountDue
from libs.money import round_to_minor_unit, sum_exactly
from libs.periods import Period, local_date, month_containing
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.allowance import Allowance, Bucket
from libs.pricing.allowance_payment import pay
from libs.pricing.allowance_sources import Holder, find_sources
from libs.pricing.charge_amount import line_amounts
from libs.pricing.explanation import ExplanationStep, explain
from libs.pricing.intake import Intake

TRIAL = "trial"


@dataclass(frozen=True)
class TrialUsage:
    """A usage with what is left to pay of it, what allowances gave, and why."""

    usage: UsageReceived
    answer: PricedUsage | RejectedUsage
    uses: tuple[AllowanceUse, ...]
    steps: tuple[ExplanationStep, ...]


@dataclass(frozen=True)
class TrialBill:
    """The charges, one for each price and month, and what is taken off them before tax (`adjustments`) and after (`discounts`).

    A price that a newer book counts, rounds or taxes otherwise has one for each. `taxes` are those of all that; `total` is to be paid.
    All of the bills of all months together.
    """

    lines: tuple[Charge, ...]
    adjustments: tuple[Adjustment, ...]
    taxes: tuple[AppliedTax, ...]
    discounts: tuple[BillDiscount, ...]
    total: Decimal


@dataclass(frozen=True)
class _Month:
    """A month as a cut closes it."""

    lines: tuple[Charge, ...]
    adjustments: tuple[Adjustment, ...]
    closed: ChargesClosed


class Unbillable(ValueError):
    """No bill can be made of the usages; the message is what invoicing would say."""


class Trial:
    """An offering tried in a currency, on the clock of a time zone, by a product that begins with the first usage."""

    def __init__(
        self,
        books: RateBooks,
        offering_id: str,
        time_zone: str,
        currency: str,
        *,
        with_allowances: bool = True,
        intake: Intake | None = None,
    ) -> None:
        self._books = books
        self._intake = intake or Intake()
        self._offering_id = offering_id
        self.time_zone = time_zone
        self.currency = currency
        self._with_allowances = with_allowances
        self._buckets: dict[str, Bucket] = {}

    def price(self, usages: Sequence[UsageReceived]) -> list[TrialUsage]:
        """Each usage in its turn, refused where rating refuses it. Raises UnknownTimeZone.

        An id that comes again with the same body gets the same answer, and another body is refused.
        """
        priced: dict[str, TrialUsage] = {}
        return [self._once(usage, priced, _since(usages)) for usage in usages]

    def bill(self, priced: Sequence[TrialUsage], tax_table: TaxTable | None = None, tax_category: str = "") -> TrialBill:
        """What rating's cuts and invoicing make of what was priced. `tax_category` is the account's, for prices that have none.

        Without a tax table there is no tax. Raises Unbillable.
        """
        priced = list({each.usage.id: each for each in priced if isinstance(each.answer, PricedUsage)}.values())
        since = _since([each.usage for each in priced]) if priced else datetime.max.replace(tzinfo=UTC)
        spans = {month_containing(each.usage.started_at, self.time_zone) for each in priced}
        months = [self._close(priced, span, since) for span in sorted(spans, key=lambda span: span.start)]
        bills = list(self._bills([month.closed for month in months], tax_table, tax_category))
        return TrialBill(
            lines=tuple(line for month in months for line in month.lines),
            adjustments=tuple(adjustment for month in months for adjustment in month.adjustments),
            taxes=_added(tax for bill in bills for tax in bill.tax_items) if tax_table is not None else (),
            discounts=tuple(discount for bill in bills for discount in bill.discounts),
            total=round_to_minor_unit(sum_exactly(bill.amount_due for bill in bills), self.currency),
        )

    def _once(self, usage: UsageReceived, priced: dict[str, TrialUsage], since: datetime) -> TrialUsage:
        known = priced.get(usage.id)
        if known is None:
            known = priced[usage.id] = self._price(usage, since)
        elif known.usage != usage:
            return _refused(usage, RejectedUsage(RejectionReason.DUPLICATE_ID, f"another usage before it has the id {usage.id}"))
        return known

    def _price(self, received: UsageReceived, since: datetime) -> TrialUsage:
        usage, answer = self._intake.answer(self._books, self._offering_id, received, time_zone=self.time_zone, currency=self.currency)
        if isinstance(answer, RejectedUsage):
            return _refused(received, answer)
        uses: tuple[AllowanceUse, ...] = ()
        left = None
        if self._with_allowances:
            holder = Holder(since, self.time_zone, self._allowance, lambda allowance, period: f"{allowance.id}:{period.label}")
            allowances = self._allowances(usage.started_at)
            sources = [find_sources(allowances, part.price, holder, usage.started_at) for part in answer.parts]
            payment = pay(answer, sources, self._buckets, usage.called_number)
            self._buckets.update(payment.buckets)
            answer, uses, left = payment.priced, payment.uses, payment.priced
        steps = explain(
            self._books,
            self._offering_id,
            usage,
            time_zone=self.time_zone,
            currency=self.currency,
            left=left,
            uses=uses,
        )
        return TrialUsage(received, answer, uses, tuple(steps))

    def _allowances(self, at: datetime) -> tuple[Allowance, ...]:
        offering = self._books.offering(self._offering_id, at, self.currency, self.time_zone)
        return offering.allowances if offering is not None else ()

    def _allowance(self, allowance_id: str, at: datetime) -> Allowance | None:
        return next((allowance for allowance in self._allowances(at) if allowance.id == allowance_id), None)

    def _close(self, priced: Iterable[TrialUsage], month: Period, since: datetime) -> _Month:
        """The month as the cut of a bill run closes it when it is over."""
        open_lines = self._lines_of(priced, month)
        lines = [line.model_copy(update={"amount": amount}) for line, amount in zip(open_lines, line_amounts(open_lines), strict=True)]
        begins_at = max(month.start, since)
        first_day = local_date(since, self.time_zone)
        offering = self._books.offering(self._offering_id, begins_at, self.currency, self.time_zone)
        terms = NO_ADJUSTMENTS if offering is None else offering.adjustments
        adjustments = adjust(terms, [SummedLine.of(line, self.time_zone) for line in lines], first_day, self.currency, None)
        closed = ChargesClosed(
            id=TRIAL,
            account_id=TRIAL,
            run_type=RunType.ON_CYCLE,
            period=month,
            cause_id=TRIAL,
            currency=self.currency,
            closed_at=month.end,
            lines=(*map(ChargeLine.of, lines), *(self._adjustment_line(*numbered, month) for numbered in enumerate(adjustments))),
            discounts_after_tax=tuple(
                DiscountDue(product_id=TRIAL, product_name=self._offering_id, discount=discount)
                for discount in discounts_of_bill(terms, first_day, local_date(begins_at, self.time_zone))
            ),
        )
        return _Month(tuple(lines), tuple(adjustments), closed)

    def _bills(self, months: Iterable[ChargesClosed], tax_table: TaxTable | None, tax_category: str) -> Iterator[BillIssued]:
        terms = BillTerms(tax_table or TaxTable(), BillIssuer(name=TRIAL), TRIAL, TRIAL)
        for closed in months:
            account = AccountChanged(
                id=TRIAL,
                revision=1,
                name=TRIAL,
                state=AccountState.ACTIVE,
                currency=self.currency,
                time_zone=self.time_zone,
                cycle=TRIAL,
                tax_category=tax_category or TRIAL,
                tax_exempt=tax_table is None,
                changed_at=closed.closed_at,
            )
            outcome = assemble_bill(closed, account, terms)
            if isinstance(outcome, AccountParked):
                raise Unbillable(outcome.reason)
            if isinstance(outcome, BillDraft):
                yield outcome.unnumbered

    def _lines_of(self, priced: Iterable[TrialUsage], month: Period) -> list[Charge]:
        # As rating adds up usages: where the same becomes of them, whichever book prices them.
        parts: dict[tuple[str, ChargeTiers | None, LineRounding | None, str | None, bool], list[PricedUsage]] = {}
        for each in priced:
            if isinstance(each.answer, PricedUsage) and month.start <= each.usage.started_at < month.end:
                for part in each.answer.parts:
                    price = part.price
                    terms = price.price_id, price.tiers, price.line_rounding, price.tax_category, price.is_tax_included
                    parts.setdefault(terms, []).append(part)
        return [self._line(number, month, alike) for number, alike in enumerate(parts.values())]

    def _line(self, number: int, month: Period, parts: Sequence[PricedUsage]) -> Charge:
        price = parts[0].price
        sums: Counter[int] = Counter()
        for part in parts:
            sums[part.denominator] += part.numerator
        return Charge(
            id=f"{price.price_id}:{number}",
            account_id=TRIAL,
            product_id=TRIAL,
            product_name=self._offering_id,
            offering_id=self._offering_id,
            price_id=price.price_id,
            kind=ChargeKind.USAGE,
            description=price.description,
            usage_type=price.usage_type,
            unit=price.unit,
            currency=self.currency,
            period=month,
            sequence=1,
            usage_count=len(parts),
            quantity=sum_exactly(part.charged_quantity for part in parts),
            sums={str(denominator): Decimal(numerator) for denominator, numerator in sums.items()},
            tiers=price.tiers,
            line_rounding=price.line_rounding,
            tax_category=price.tax_category,
            is_tax_included=price.is_tax_included,
            updated_at=month.start,
        )

    def _adjustment_line(self, number: int, adjustment: Adjustment, month: Period) -> ChargeLine:
        return ChargeLine(
            # There is one of each for all charges that are taxed alike.
            charge_id=f"{adjustment.id}|{number}",
            product_id=TRIAL,
            product_name=self._offering_id,
            price_id=adjustment.id,
            kind=adjustment.kind,
            description=adjustment.description,
            usage_count=0,
            quantity=Decimal(0),
            period=month,
            amount=adjustment.amount,
            tax_category=adjustment.tax_category,
            is_tax_included=adjustment.is_tax_included,
        )


def _refused(usage: UsageReceived, refusal: RejectedUsage) -> TrialUsage:
    return TrialUsage(usage, refusal, (), (ExplanationStep("refusal", f"{refusal.reason.value}: {refusal.detail}"),))


def _added(taxes: Iterable[AppliedTax]) -> tuple[AppliedTax, ...]:
    """Each tax once, whatever the number of bills."""
    added: dict[tuple[str, Decimal, tuple[str, ...]], AppliedTax] = {}
    for tax in taxes:
        place = tax.category, tax.rate, tax.on
        before = added.get(place)
        added[place] = tax if before is None else tax.model_copy(update={"amount": sum_exactly([before.amount, tax.amount])})
    return tuple(added.values())


def _since(usages: Sequence[UsageReceived]) -> datetime:
    return min(usage.started_at for usage in usages)

"""Usages priced on trial: what a customer who has used nothing yet would pay for them, by the functions that rating and bills use.

Each usage is priced and explained in its turn, drawing from allowances that were full before the first; then the lines of a bill are
made of them, month by month, and discounts, the spending cap and taxes on these. Fees and minimum commitments are the product's,
not the usages', and are left out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from libs.billing.adjustments import Adjustment, adjust
from libs.billing.remainders import SummedLine
from libs.billing.tax_table import TaxTable
from libs.billing.taxes import TaxedAmount, levy_taxes
from libs.contracts import AllowanceUse, AppliedTax, Charge, ChargeKind, PostalAddress, UsageReceived
from libs.money import round_to_minor_unit, sum_exactly
from libs.periods import Period, local_date, month_containing
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.allowance import Allowance, Bucket
from libs.pricing.allowance_payment import pay
from libs.pricing.allowance_sources import Holder, find_sources
from libs.pricing.charge_amount import line_amounts
from libs.pricing.explanation import ExplanationStep, explain

# Trials are of no account: what holds everywhere.
NOWHERE = PostalAddress()
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
    """The charges, one for each price and month, and what is taken off them. `taxes` are those of all that; `total` is to be paid."""

    lines: tuple[Charge, ...]
    adjustments: tuple[Adjustment, ...]
    taxes: tuple[AppliedTax, ...]
    total: Decimal


class UnknownTaxCategory(ValueError):
    """The tax table has no such category."""


class Trial:
    """An offering tried in a currency, on the clock of a time zone, by a product that begins with the first usage."""

    def __init__(self, books: RateBooks, offering_id: str, time_zone: str, currency: str, *, with_allowances: bool = True) -> None:
        self._books = books
        self._offering_id = offering_id
        self.time_zone = time_zone
        self.currency = currency
        self._with_allowances = with_allowances
        self._buckets: dict[str, Bucket] = {}

    def price(self, usages: Sequence[UsageReceived]) -> list[TrialUsage]:
        """Each usage in its turn. Raises UnknownTimeZone."""
        return [self._price(usage, _since(usages)) for usage in usages]

    def bill(self, priced: Sequence[TrialUsage], tax_table: TaxTable | None = None, tax_category: str = "") -> TrialBill:
        """The lines of what was priced. `tax_category` is the account's, for prices that have none. Raises UnknownTaxCategory."""
        since = _since([each.usage for each in priced])
        months = {month_containing(each.usage.started_at, self.time_zone) for each in priced}
        lines = self._lines(priced, months)
        adjustments: list[Adjustment] = []
        taxed: list[TaxedAmount] = []
        for month in sorted(months, key=lambda month: month.start):
            begins_at = max(month.start, since)
            of_month = [line for line in lines if line.period == month]
            adjusted = self._adjust(of_month, begins_at, local_date(since, self.time_zone))
            adjustments += adjusted
            if tax_table is not None:
                amounts = [(_amount(line), line.tax_category) for line in of_month]
                amounts += [(adjustment.amount, adjustment.tax_category) for adjustment in adjusted]
                taxed += self._taxed(amounts, tax_table, tax_category, begins_at)
        net = sum_exactly([*map(_amount, lines), *(adjustment.amount for adjustment in adjustments)])
        levy = levy_taxes(taxed, self.currency)
        included = sum_exactly(
            tax.amount for amount, share in zip(taxed, levy.shares, strict=True) if amount.is_tax_included for tax in share
        )
        total = sum_exactly([net, *(tax.amount for tax in levy.items), -included])
        return TrialBill(tuple(lines), tuple(adjustments), levy.items, round_to_minor_unit(total, self.currency))

    def _price(self, usage: UsageReceived, since: datetime) -> TrialUsage:
        answer = self._books.price_usage(self._offering_id, usage, time_zone=self.time_zone, currency=self.currency)
        uses: tuple[AllowanceUse, ...] = ()
        left = None
        if isinstance(answer, PricedUsage) and self._with_allowances:
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
        return TrialUsage(usage, answer, uses, tuple(steps))

    def _allowances(self, at: datetime) -> tuple[Allowance, ...]:
        offering = self._books.offering(self._offering_id, at, self.currency)
        return offering.allowances if offering is not None else ()

    def _allowance(self, allowance_id: str, at: datetime) -> Allowance | None:
        return next((allowance for allowance in self._allowances(at) if allowance.id == allowance_id), None)

    def _lines(self, priced: Sequence[TrialUsage], months: Iterable[Period]) -> list[Charge]:
        lines = [line for month in sorted(months, key=lambda month: month.start) for line in self._lines_of(priced, month)]
        return [line.model_copy(update={"amount": amount}) for line, amount in zip(lines, line_amounts(lines), strict=True)]

    def _lines_of(self, priced: Iterable[TrialUsage], month: Period) -> list[Charge]:
        parts: dict[tuple[str, str], list[PricedUsage]] = {}
        for each in priced:
            if isinstance(each.answer, PricedUsage) and month.start <= each.usage.started_at < month.end:
                for part in each.answer.parts:
                    parts.setdefault((part.price_id, part.rate_book), []).append(part)
        return [self._line(month, of_price) for of_price in parts.values()]

    def _line(self, month: Period, parts: Sequence[PricedUsage]) -> Charge:
        price = parts[0].price
        sums: Counter[int] = Counter()
        for part in parts:
            sums[part.denominator] += part.numerator
        return Charge(
            id=f"{price.price_id}:{price.rate_book}",
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
            updated_at=month.start,
        )

    def _adjust(self, lines: Iterable[Charge], begins_at: datetime, first_day: date) -> list[Adjustment]:
        offering = self._books.offering(self._offering_id, begins_at, self.currency)
        if offering is None:
            return []
        day = local_date(begins_at, self.time_zone)
        summed = [SummedLine(line.price_id, line.kind, line.tax_category, _amount(line), day) for line in lines]
        return adjust(offering.adjustments, summed, first_day, self.currency, None)

    def _taxed(
        self, amounts: Iterable[tuple[Decimal, str | None]], table: TaxTable, account_category: str, at: datetime
    ) -> Iterator[TaxedAmount]:
        offering = self._books.offering(self._offering_id, at, self.currency)
        day = local_date(at, self.time_zone)
        for amount, category in amounts:
            taxes = table.taxes(category or account_category, NOWHERE, day)
            if taxes is None:
                known = ", ".join(table.categories(NOWHERE))
                raise UnknownTaxCategory(f"no tax category {category or account_category!r} in the tax table, which has {known}")
            yield TaxedAmount(amount, taxes, offering is not None and offering.is_tax_included)


def _since(usages: Sequence[UsageReceived]) -> datetime:
    return min(usage.started_at for usage in usages)


def _amount(line: Charge) -> Decimal:
    assert line.amount is not None, f"line {line.id} was not rounded"
    return line.amount

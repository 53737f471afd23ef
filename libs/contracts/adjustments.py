"""What an offering changes about the sum of its charges: discounts, a minimum commitment, a spending cap, thresholds.

They are terms of a rate book that travel in facts. Each is about one product and one calendar month of its account. The order
is fixed: discounts as the book lists them, then the cap, then commitments, then tax, then discounts after tax.
"""

from datetime import date
from typing import Literal

from libs.contracts.bounded import Amount, Count
from libs.contracts.fact import Id, Record, Text

ChargedFor = Literal["usage", "recurring", "oneTime"]


class AdjustmentScope(Record):
    """The charges that count: those of these prices, or of these kinds; all of the product when it names none."""

    price_ids: tuple[Id, ...] = ()
    kinds: tuple[ChargedFor, ...] = ()


EVERYTHING = AdjustmentScope()


class DiscountTier(Record):
    """A percentage for the part of a sum up to `up_to`, which belongs to it; the last tier has no end."""

    up_to: Amount | None = None
    percent: Amount


class Discount(Record):
    """What is taken off a month's charges, never more than they are.

    percent: `percent` of the sum. fixed: `amount`. graduated: each part of the sum has the percentage of its tier; volume: the
    whole sum has that of the tier in which it lies. `maximum` limits it in a month. It holds for charges whose time begins within
    `first_months` of the product's first day, and from `holds_from` to before `holds_until`, days of the account's zone.
    """

    id: Id
    description: Text
    model: Literal["percent", "fixed", "graduated", "volume"]
    percent: Amount | None = None
    amount: Amount | None = None
    tiers: tuple[DiscountTier, ...] = ()
    maximum: Amount | None = None
    scope: AdjustmentScope = EVERYTHING
    is_after_tax: bool = False
    first_months: Count | None = None
    holds_from: date | None = None
    holds_until: date | None = None


class SpendingCap(Record):
    """What a month's charges, after discounts, cost at most: more is taken off again."""

    id: Id
    description: Text
    amount: Amount
    scope: AdjustmentScope = EVERYTHING


class MinimumCommitment(Record):
    """What the charges of a calendar period, after discounts, come to at least: what is missing is charged on top.

    Prorated by calendar day where the product did not live through the period, unless `is_prorated` is False. One that is
    longer than a month counts everything.
    """

    id: Id
    description: Text
    amount: Amount
    period: Literal["month", "quarter", "year"] = "month"
    scope: AdjustmentScope = EVERYTHING
    is_prorated: bool = True
    tax_category: Id | None = None


class Thresholds(Record):
    """Percentages of an amount that somebody wants to hear of when a month's charges reach them."""

    id: Id
    amount: Amount
    percents: tuple[Count, ...]
    scope: AdjustmentScope = EVERYTHING


class Adjustments(Record):
    """All that an offering changes about the sum of its charges, in the order of the book."""

    discounts: tuple[Discount, ...] = ()
    spending_cap: SpendingCap | None = None
    commitments: tuple[MinimumCommitment, ...] = ()
    thresholds: Thresholds | None = None

    @property
    def discounts_before_tax(self) -> tuple[Discount, ...]:
        """Those that lower what is taxed."""
        return tuple(discount for discount in self.discounts if not discount.is_after_tax)

    @property
    def discounts_after_tax(self) -> tuple[Discount, ...]:
        """Those that lower what is paid, and not the tax."""
        return tuple(discount for discount in self.discounts if discount.is_after_tax)

    @property
    def monthly_commitments(self) -> tuple[MinimumCommitment, ...]:
        """Those that are due with each month."""
        return tuple(commitment for commitment in self.commitments if commitment.period == "month")

    @property
    def long_commitments(self) -> tuple[MinimumCommitment, ...]:
        """Those that are due with the last month of a longer period."""
        return tuple(commitment for commitment in self.commitments if commitment.period != "month")

    @property
    def change_charges(self) -> bool:
        """Whether the cut may have to add charges for them."""
        return bool(self.discounts_before_tax or self.spending_cap or self.commitments)


NO_ADJUSTMENTS = Adjustments()


class DiscountDue(Record):
    """A discount after tax that holds for what a cut closed of a product; the bill computes it."""

    product_id: Id
    product_name: Text
    discount: Discount

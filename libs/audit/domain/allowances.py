"""What allowances paid for a usage against what is left to pay of it; and buckets against the usages that drew from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from libs.audit.domain.difference import Category, Difference
from libs.pricing import PricedUsage
from libs.pricing.allowance import Allowance

Stored = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Consumed:
    """How much was drawn from a bucket, in its unit."""

    amount: Fraction


def uncovered(priced: PricedUsage, parts: Sequence[Stored]) -> PricedUsage:
    """The usage when only the charged quantities that are stored of its parts are left to pay."""
    covered = _covered(priced, parts)
    possible = all(0 <= steps <= each.steps for steps, each in zip(covered, priced.parts, strict=True))
    return priced.covered(covered) if possible and any(covered) else priced


def check_uses(stored: Stored, parts: Sequence[Stored], priced: PricedUsage, allowances: Mapping[str, Allowance]) -> Iterator[Difference]:
    """What allowances gave is what lacks to the price: quantities to the charged quantity, money to the amount.

    `priced` is the whole usage; `allowances` are those of its offering, by id.
    """
    left = uncovered(priced, parts)
    quantity_lacks = sum(_covered(priced, parts))
    money_lacks = sum(each.numerator for each in left.parts) - sum(int(part["numerator"]) for part in parts)
    quantity, money = Fraction(0), Fraction(0)
    for use in stored["allowances"]:
        allowance = allowances.get(use["allowance_id"])
        price = next((each.price for each in priced.parts if allowance is not None and allowance.covers_price(each.price)), None)
        if allowance is None or price is None:
            yield _of_usage(stored, "an allowance of its offering that covers it", f"{use['allowance_id']}")
            return
        # In steps of the quantity, or in numerators of the amount; an event that pays for the usage as a whole pays the rest of its steps.
        pays_whole = allowance.pays_whole(price) and amount_of(use) == 1
        taken = priced.steps - quantity if pays_whole else amount_of(use) / allowance.taken_by_step(price)
        quantity, money = (quantity, money + taken) if allowance.is_money else (quantity + taken, money)
    if quantity != quantity_lacks:
        yield _of_usage(stored, f"{quantity} steps paid by allowances", f"{quantity_lacks} not charged")
    if money != money_lacks:
        yield _of_usage(stored, f"{money}/{priced.denominator} paid by allowances", f"{money_lacks}/{priced.denominator} not charged")


def check_bucket(bucket_id: str, buckets: Sequence[Consumed], uses: Sequence[Consumed]) -> Iterator[Difference]:
    """A bucket has given what its usages took."""
    expected = sum((use.amount for use in uses), Fraction(0))
    if not buckets:
        yield Difference(category=Category.BUCKET, id=bucket_id, expected=f"a bucket that gave {expected}", found="none")
    elif buckets[0].amount != expected:
        yield Difference(category=Category.BUCKET, id=bucket_id, expected=f"{expected} drawn", found=f"{buckets[0].amount}")


def amount_of(use: Stored) -> Fraction:
    """What a usage took, in the unit of the bucket."""
    return Fraction(use["quantity"]) / int(use["denominator"])


def _covered(priced: PricedUsage, parts: Sequence[Stored]) -> list[int]:
    """The steps of each part that are not charged."""
    return [
        each.steps - int(Fraction(part["charged_quantity"]) * 10**each.price.decimals)
        for part, each in zip(parts, priced.parts, strict=True)
    ]


def _of_usage(stored: Stored, expected: str, found: str) -> Difference:
    return Difference(category=Category.USAGE_PRICE, id=stored["_id"], expected=expected, found=found)

"""What allowances pay of a priced usage: first quantities, in the steps that it is charged in, then money.

What they paid and what is left to pay add up to the usage, exactly. A price that counts the month counts what was not covered.
The parts of a usage that was split draw one after the other.
"""

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal, Inexact
from math import gcd

from msgspec import Struct
from msgspec.structs import replace

from libs.contracts import AllowanceUse
from libs.pricing.allowance import Bucket, Stock, draw, grant
from libs.pricing.allowance_sources import Source, Sources
from libs.pricing.compiled_price import PricedUsage

_EXACT = Context(prec=60, traps=[Inexact])


class Take(Struct, frozen=True, gc=False):
    """So many steps of a price (numerators, where the allowance is money), taken from a bucket."""

    source: Source
    steps: int

    @property
    def use(self) -> AllowanceUse:
        """The same in the unit of the bucket."""
        source = self.source
        quantity, denominator = (1 if source.is_whole else self.steps) * source.step_numerator, source.step_denominator
        if denominator == 1:
            return AllowanceUse(allowance_id=source.allowance.id, bucket_id=source.bucket_id, quantity=Decimal(quantity))
        if not source.allowance.is_money and not source.allowance.factors:
            # Steps are decimal: 35.5 s say more than 71/2 s.
            decimal = _EXACT.divide(Decimal(quantity), Decimal(denominator))
            return AllowanceUse(allowance_id=source.allowance.id, bucket_id=source.bucket_id, quantity=decimal)
        common = gcd(quantity, denominator)
        return AllowanceUse(
            allowance_id=source.allowance.id,
            bucket_id=source.bucket_id,
            quantity=Decimal(quantity // common),
            denominator=denominator // common,
        )


class Payment(Struct, frozen=True, gc=False):
    """`priced` is what is left to pay; `takes` is what was taken, in order; `buckets` are as they are after it, by id."""

    priced: PricedUsage
    takes: Sequence[Take]
    buckets: Mapping[str, Bucket]

    @property
    def uses(self) -> tuple[AllowanceUse, ...]:
        """What the usage took from buckets, as its fact tells it."""
        return tuple([take.use for take in self.takes])


def pay(priced: PricedUsage, sources: Sequence[Sources], buckets: Mapping[str, Bucket], called_number: str | None) -> Payment:
    """Draw for a usage; `sources` are those of each of its parts. A bucket that is not in `buckets` is granted now."""
    drawing = _Drawing(buckets, called_number)
    if not priced.others:
        return _pay_whole(priced, sources[0], drawing)
    parts = priced.parts
    covered = [drawing.take(of_part.quantities, part.steps) for part, of_part in zip(parts, sources, strict=True)]
    if any(covered):
        priced = priced.covered(covered)
        parts = priced.parts
    paid = [drawing.take(of_part.money, part.numerator) for part, of_part in zip(parts, sources, strict=True)]
    if any(paid):
        left = [replace(part, numerator=part.numerator - money) for part, money in zip(parts, paid, strict=True)]
        priced = replace(left[0], others=tuple(left[1:]))
    return Payment(priced, drawing.takes, drawing.changed)


def _pay_whole(priced: PricedUsage, sources: Sources, drawing: "_Drawing") -> Payment:
    covered = drawing.take(sources.quantities, priced.steps)
    if covered:
        priced = priced.covered((covered,))
    money = drawing.take(sources.money, priced.numerator)
    if money:
        priced = replace(priced, numerator=priced.numerator - money)
    return Payment(priced, drawing.takes, drawing.changed)


class _Drawing:
    """One usage's: what it took so far, and what became of the buckets."""

    __slots__ = ("_buckets", "_called_number", "changed", "takes")

    def __init__(self, buckets: Mapping[str, Bucket], called_number: str | None) -> None:
        self._buckets = buckets
        self._called_number = called_number
        self.takes: list[Take] = []
        self.changed: dict[str, Bucket] = {}

    def take(self, sources: Sequence[Source], wanted: int) -> int:
        """Draw so many steps where there are as many; how many there were."""
        if not sources or not wanted:
            return 0
        able = [source for source in sources if source.allowance.covers.reaches(self._called_number)]
        drawn, left_to_pay = draw(map(self._stock, able), wanted)
        for place, bucket, steps in drawn:
            self.changed[bucket.id] = bucket
            self.takes.append(Take(able[place], steps))
        return wanted - left_to_pay

    def _stock(self, source: Source) -> Stock:
        id = source.bucket_id
        bucket = self.changed.get(id) or self._buckets.get(id) or grant(id, source.amount)
        return Stock(bucket, source.step_numerator, source.step_denominator, source.rolled, source.is_whole)

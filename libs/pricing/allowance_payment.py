"""What allowances pay of a priced usage: first quantities, in the steps that it is charged in, then money.

What they paid and what is left to pay add up to the usage, exactly. A price that counts the month counts what was not covered.
The parts of a usage that was split draw one after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact

from msgspec.structs import replace

from libs.contracts import AllowanceUse
from libs.pricing.allowance import Bucket, Stock, draw, grant
from libs.pricing.allowance_sources import Source, Sources
from libs.pricing.compiled_price import PricedUsage

_EXACT = Context(prec=60, traps=[Inexact])


@dataclass(frozen=True, slots=True)
class Take:
    """So many steps of a price (numerators, where the allowance is money), taken from a bucket."""

    source: Source
    steps: int

    @property
    def use(self) -> AllowanceUse:
        """The same in the unit of the bucket."""
        taken = self.source.step * self.steps
        quantity, denominator = Decimal(taken.numerator), taken.denominator
        if not self.source.allowance.is_money and not self.source.allowance.factors:
            # Steps are decimal: 35.5 s say more than 71/2 s.
            quantity, denominator = _EXACT.divide(quantity, Decimal(denominator)), 1
        return AllowanceUse(
            allowance_id=self.source.allowance.id, bucket_id=self.source.bucket_id, quantity=quantity, denominator=denominator
        )


@dataclass(frozen=True, slots=True)
class Payment:
    """`priced` is what is left to pay; `takes` is what was taken, in order; `buckets` are as they are after it, by id."""

    priced: PricedUsage
    takes: Sequence[Take]
    buckets: Mapping[str, Bucket]

    @property
    def uses(self) -> tuple[AllowanceUse, ...]:
        """What the usage took from buckets, as its fact tells it."""
        return tuple(take.use for take in self.takes)


def pay(priced: PricedUsage, sources: Sequence[Sources], buckets: Mapping[str, Bucket], called_number: str | None) -> Payment:
    """Draw for a usage; `sources` are those of each of its parts. A bucket that is not in `buckets` is granted now."""
    drawing = _Drawing(buckets, called_number)
    covered = [drawing.take(of_part.quantities, part.steps) for part, of_part in zip(priced.parts, sources, strict=True)]
    if any(covered):
        priced = priced.covered(covered)
    paid = [drawing.take(of_part.money, part.numerator) for part, of_part in zip(priced.parts, sources, strict=True)]
    if any(paid):
        parts = [replace(part, numerator=part.numerator - money) for part, money in zip(priced.parts, paid, strict=True)]
        priced = replace(parts[0], others=tuple(parts[1:]))
    return Payment(priced, drawing.takes, drawing.changed)


class _Drawing:
    """One usage's: what it took so far, and what became of the buckets."""

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
        drawn, left_to_pay = draw((self._stock(source) for source in able), wanted)
        for each in drawn:
            self.changed[each.bucket.id] = each.bucket
            source = next(source for source in able if source.bucket_id == each.bucket.id)
            self.takes.append(Take(source, each.steps))
        return wanted - left_to_pay

    def _stock(self, source: Source) -> Stock:
        bucket = self.changed.get(source.bucket_id) or self._buckets.get(source.bucket_id)
        return Stock(bucket or grant(source.bucket_id, source.amount), source.step, source.rolled)

"""Re-rating: each usage is priced anew, and where that differs from what stands, a fact reverses the old and sets the new.

The fact is made of postings to charges, so that all charges together change by exactly the difference, and as much again in
return when the old price comes back. Asked again, a request repeats its facts; another one compares with what stands then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal, Inexact
from fractions import Fraction

from libs.contracts import Charge, ChargePosting, ChargeState, RatedPart, UsageRerated
from libs.contracts.derived_ids import joined_id
from libs.pricing import CompiledPrice, PricedUsage, RejectedUsage
from libs.pricing.intake import is_summable
from services.rating.domain.charge_ids import terms_of_charge, terms_of_price
from services.rating.domain.correcting import (
    Place,
    correction_at_price,
    correction_of_cut,
    is_cut,
    place_id,
    product_of,
)
from services.rating.domain.deciding import usage_charge
from services.rating.domain.holdings import Product
from services.rating.domain.months import BillingMonth, BillingMonths
from services.rating.domain.repricing import Repricer, Standing

_EXACT = Context(prec=60, traps=[Inexact])
# What makes an outcome: price, terms of its charge, charged quantity and exact amount of each part.
_Outcome = list[tuple[str, str, Decimal, Fraction]]


@dataclass(frozen=True, slots=True)
class Reratings:
    """What a request makes of some usages: `fresh` is new, `repeated` was decided when it came before; `unpriced` says of those that
    have no price any more why. `places` has the charges that are posted to, by id."""

    fresh: list[UsageRerated] = field(default_factory=list)
    repeated: list[UsageRerated] = field(default_factory=list)
    unpriced: list[str] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def facts(self) -> list[UsageRerated]:
        """All that differs."""
        return [*self.repeated, *self.fresh]


@dataclass(slots=True)
class Movement:
    """The sums that are added to one charge."""

    usage_count: int = 0
    quantity: Decimal = Decimal(0)
    sums: dict[int, int] = field(default_factory=dict)

    def add(self, usage_count: int, quantity: Decimal, numerator: int, denominator: int) -> None:
        """Add to what is added."""
        self.usage_count += usage_count
        self.quantity = _EXACT.add(self.quantity, quantity)
        self.sums[denominator] = self.sums.get(denominator, 0) + numerator

    def __bool__(self) -> bool:
        return bool(self.usage_count or self.quantity or any(self.sums.values()))


class Rerater:
    """Re-rates usages of one account for one request."""

    def __init__(self, request_id: str, repricer: Repricer, now: datetime) -> None:
        self._request_id = request_id
        self._repricer = repricer
        self._months = BillingMonths()
        self._now = now

    def rerate(self, standings: Iterable[Standing]) -> Reratings:
        """Decide each usage once."""
        reratings = Reratings()
        for standing in standings:
            if standing.answer is not None:
                reratings.repeated.append(standing.answer)
                continue
            outcome = self._rerate(standing, reratings.places)
            if isinstance(outcome, UsageRerated):
                reratings.fresh.append(outcome)
            elif outcome is not None:
                reratings.unpriced.append(f"{standing.usage.id}: {outcome}")
        return reratings

    def _rerate(self, standing: Standing, places: dict[str, Place]) -> UsageRerated | str | None:
        """The fact, or None when nothing differs, or why there is no price."""
        offering_id = self._repricer.offering_of(standing)
        priced = self._repricer.price(standing, offering_id)
        if isinstance(priced, RejectedUsage):
            return priced.detail
        if not is_summable(priced):
            return "its price has too many digits to be summed exactly"
        charges = [self._repricer.charges[part.charge_id] for part in standing.parts]
        if _outcome_of_parts(standing.parts, charges) == _outcome_of_priced(priced):
            return None
        month = self._months.containing(standing.usage.started_at, self._repricer.account.time_zone)
        old_places = [self._old_place(standing, part, charge, month) for part, charge in zip(standing.parts, charges, strict=True)]
        product = product_of(charges[0], self._repricer.products.get(standing.product_id), offering_id)
        new_places = [self._new_place(part.price, product, month, standing, corrects=is_cut(charges)) for part in priced.parts]
        places |= {place_id(place): place for place in (*old_places, *new_places)}
        new = tuple(_part(place_id(place), part) for place, part in zip(new_places, priced.parts, strict=True))
        reversed_parts = [(place_id(place), part) for place, part in zip(old_places, standing.parts, strict=True)]
        return UsageRerated(
            id=rerated_id(self._request_id, standing.usage.id),
            request_id=self._request_id,
            usage_id=standing.usage.id,
            number=standing.number + 1,
            account_id=standing.account_id,
            product_id=standing.product_id,
            currency=standing.currency,
            old=standing.parts,
            new=new,
            postings=tuple(_postings(reversed_parts, new)),
            rerated_at=self._now,
            allowances=standing.allowances,
        )

    def _old_place(self, standing: Standing, part: RatedPart, charge: Charge, month: BillingMonth) -> Place:
        """Where what a part was is taken from."""
        if charge.state is ChargeState.OPEN:
            return charge
        account = self._repricer.account
        product = product_of(charge, self._repricer.products.get(charge.product_id), charge.offering_id)
        if charge.tiers is not None and (price := self._repricer.price_of_part(standing, part)) is not None and not price.late_restarts:
            return usage_charge(account, product, price, month)
        return correction_of_cut(charge, product, account, month, self._now)

    def _new_place(self, price: CompiledPrice, product: Product, month: BillingMonth, standing: Standing, *, corrects: bool) -> Place:
        """Where what a part is now is added; `corrects`: what the old parts are taken from was cut."""
        account = self._repricer.account
        if price.tiers is None and corrects:
            return correction_at_price(account, product, price, month, self._now)
        present = usage_charge(account, product, price, month)
        first = self._repricer.charges[standing.first_charge_id].sequence
        if price.late_restarts and first < present.sequence:
            # It belongs to those that were cut with it, and not to what came later and counts anew.
            return correction_at_price(account, product, price, month, self._now, first)
        return present


def rerated_id(request_id: str, usage_id: str) -> str:
    """The id of what a request made of a usage."""
    return joined_id(request_id, usage_id)


def movements_of(facts: Iterable[UsageRerated]) -> dict[str, Movement]:
    """Return the movements that facts make, by charge id."""
    movements: dict[str, Movement] = {}
    for fact in facts:
        for posting in fact.postings:
            movement = movements.setdefault(posting.charge_id, Movement())
            movement.add(posting.usage_count, posting.quantity, posting.numerator, posting.denominator)
    return movements


def _postings(old: Sequence[tuple[str, RatedPart]], new: Sequence[RatedPart]) -> Iterable[ChargePosting]:
    movements: dict[str, Movement] = {}
    for charge_id, part in old:
        movements.setdefault(charge_id, Movement()).add(0, part.charged_quantity.copy_negate(), -part.numerator, part.denominator)
    for part in new:
        movements.setdefault(part.charge_id, Movement()).add(0, part.charged_quantity, part.numerator, part.denominator)
    # A usage counts once in each of its charges, however many of its parts they have.
    for charge_id in {charge_id for charge_id, _ in old}:
        movements[charge_id].usage_count -= 1
    for charge_id in {part.charge_id for part in new}:
        movements[charge_id].usage_count += 1
    for charge_id, movement in movements.items():
        if movement:
            yield from _of_charge(charge_id, movement)


def _of_charge(charge_id: str, movement: Movement) -> Iterable[ChargePosting]:
    usage_count, quantity = movement.usage_count, movement.quantity
    for denominator, numerator in movement.sums.items():
        yield ChargePosting(charge_id=charge_id, usage_count=usage_count, quantity=quantity, numerator=numerator, denominator=denominator)
        usage_count, quantity = 0, Decimal(0)


def _part(charge_id: str, priced: PricedUsage) -> RatedPart:
    return RatedPart(
        price_id=priced.price_id,
        charge_id=charge_id,
        charged_quantity=priced.charged_quantity,
        numerator=priced.numerator,
        denominator=priced.denominator,
        rate_book=priced.rate_book,
    )


def _terms(charge: Charge) -> tuple[str, str]:
    return charge.price_id, terms_of_charge(charge)


def _outcome_of_parts(parts: Sequence[RatedPart], charges: Sequence[Charge]) -> _Outcome:
    return [
        (*_terms(charge), part.charged_quantity, Fraction(part.numerator, part.denominator))
        for part, charge in zip(parts, charges, strict=True)
    ]


def _outcome_of_priced(priced: PricedUsage) -> _Outcome:
    return [
        (
            part.price_id,
            terms_of_price(part.price),
            part.charged_quantity,
            Fraction(part.numerator, part.denominator),
        )
        for part in priced.parts
    ]

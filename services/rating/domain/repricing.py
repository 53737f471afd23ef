"""Pricing a rated usage anew: by the function that priced it first, with the offering it had and what allowances paid for it.

Nothing is drawn from an allowance and nothing given back: what paid for a usage when it was rated pays for as much of it now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction

from msgspec.structs import replace as changed

from libs.contracts import AllowanceUse, Charge, RatedPart, UsageRated, UsageReceived, UsageRerated
from libs.pricing import CompiledPrice, PricedUsage, RateBook, RateBooks, RejectedUsage
from libs.pricing.allowance import Allowance
from services.rating.domain.holdings import Account, Product

SINCE_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """A rated usage with the outcome that stands. `first_charge_id` is where it was counted first; `number` counts its re-ratings;
    `answer` is what this request made of it before."""

    usage: UsageReceived
    account_id: str
    product_id: str
    currency: str
    first_charge_id: str
    parts: tuple[RatedPart, ...]
    allowances: tuple[AllowanceUse, ...] = ()
    number: int = 0
    answer: UsageRerated | None = None

    @classmethod
    def of(cls, usage: UsageReceived, rated: UsageRated, reratings: Sequence[UsageRerated] = (), request_id: str = "") -> "Standing":
        """What stands after some re-ratings, in their order, for a request of that id."""
        rated_parts = rated.parts or (
            RatedPart(
                price_id=rated.price_id,
                charge_id=rated.charge_id,
                charged_quantity=rated.charged_quantity,
                numerator=rated.numerator,
                denominator=rated.denominator,
                rate_book=rated.rate_book,
            ),
        )
        return cls(
            usage=usage,
            account_id=rated.account_id,
            product_id=rated.product_id,
            currency=rated.currency,
            first_charge_id=rated.charge_id,
            parts=reratings[-1].new if reratings else rated_parts,
            allowances=rated.allowances,
            number=len(reratings),
            answer=next((rerated for rerated in reratings if rerated.request_id == request_id), None),
        )


@dataclass(frozen=True, slots=True)
class Shelf:
    """The rate books of a request: those of today, the one that goes before them, and by id those that usage was priced by."""

    today: RateBooks
    by_id: Mapping[str, RateBooks]
    preferred: RateBook | None = None

    @classmethod
    def of(cls, today: RateBooks, preferred: RateBook | None = None) -> "Shelf":
        """Books by themselves hold for ever, whenever they take effect."""
        alone = {book.id: RateBooks([replace(book, effective_from=SINCE_EVER)]) for book in today.books}
        return cls(today, alone, preferred)

    def price(self, offering_id: str, usage: UsageReceived, account: Account) -> PricedUsage | RejectedUsage:
        """Price a usage by the book that goes before, where it has the offering, or else by those of today."""
        books = self.today
        if self.preferred is not None and offering_id in self.preferred.offerings:
            books = self.by_id[self.preferred.id]
        return books.price_usage(offering_id, usage, time_zone=account.time_zone, currency=account.currency)


@dataclass(frozen=True, slots=True)
class Repricer:
    """Prices the usages of one account. `charges` has those of their parts, `products` those that it pays for now."""

    account: Account
    shelf: Shelf
    charges: Mapping[str, Charge]
    products: Mapping[str, Product]
    by_present_offering: bool = False

    def price(self, standing: Standing, offering_id: str) -> PricedUsage | RejectedUsage:
        """What the usage costs now, without what allowances paid."""
        priced = self.shelf.price(offering_id, standing.usage, self.account)
        return priced if isinstance(priced, RejectedUsage) else self._less_allowances(standing, priced, offering_id)

    def offering_of(self, standing: Standing) -> str:
        """The offering to price by: the one under which the usage was rated, or the present one where that is asked for."""
        charged, then, present = self._offerings(standing, standing.parts[0])
        if self.by_present_offering:
            return present
        if then == charged:
            return charged
        # A charge goes on when its product changes to an offering with a price of the same name: then its own offering is the earlier one.
        return next((offering for offering in (charged, then, present) if self._explains(standing, offering)), charged)

    def price_of_part(self, standing: Standing, part: RatedPart) -> CompiledPrice | None:
        """The price of a part, from the book that it was priced by; None when that book says otherwise."""
        for offering_id in dict.fromkeys(self._offerings(standing, part)):
            priced = self._by_own_book(standing, part.rate_book, offering_id)
            if priced is not None:
                return next((each.price for each in priced.parts if each.price_id == part.price_id), None)
        return None

    def _offerings(self, standing: Standing, part: RatedPart) -> tuple[str, str, str]:
        """That of a part's charge, that of the product when the usage began, and its present one."""
        charged, product = self.charges[part.charge_id].offering_id, self.products.get(standing.product_id)
        if product is None:
            return charged, charged, charged
        return charged, product.as_of(standing.usage.started_at).offering_id, product.offering_id

    def _explains(self, standing: Standing, offering_id: str) -> bool:
        priced = self._by_own_book(standing, standing.parts[0].rate_book, offering_id)
        if priced is None:
            return False
        less = self._less_allowances(standing, priced, offering_id)
        return [(each.price_id, each.charged_quantity, Fraction(each.numerator, each.denominator)) for each in less.parts] == [
            (part.price_id, part.charged_quantity, Fraction(part.numerator, part.denominator)) for part in standing.parts
        ]

    def _by_own_book(self, standing: Standing, book_id: str, offering_id: str) -> PricedUsage | None:
        books = self.shelf.by_id.get(book_id)
        if books is None:
            return None
        priced = books.price_usage(offering_id, standing.usage, time_zone=self.account.time_zone, currency=self.account.currency)
        return None if isinstance(priced, RejectedUsage) else priced

    def _less_allowances(self, standing: Standing, priced: PricedUsage, offering_id: str) -> PricedUsage:
        if not standing.allowances:
            return priced
        terms = {use.allowance_id: self._allowance(use.allowance_id, standing, offering_id) for use in standing.allowances}
        quantities = [use for use in standing.allowances if (known := terms[use.allowance_id]) is None or not known.is_money]
        money = [use for use in standing.allowances if (known := terms[use.allowance_id]) is not None and known.is_money]
        covered = _taken(quantities, terms, priced, [part.steps for part in priced.parts])
        if any(covered):
            priced = priced.covered(covered)
        paid = _taken(money, terms, priced, [part.numerator for part in priced.parts])
        if any(paid):
            parts = [changed(part, numerator=part.numerator - amount) for part, amount in zip(priced.parts, paid, strict=True)]
            priced = changed(parts[0], others=tuple(parts[1:]))
        return priced

    def _allowance(self, allowance_id: str, standing: Standing, offering_id: str) -> Allowance | None:
        """The terms by which an allowance paid, from the book that the usage was priced by."""
        books = self.shelf.by_id.get(standing.parts[0].rate_book)
        if books is None:
            return None
        offering = books.offering(offering_id, standing.usage.started_at, self.account.currency)
        return None if offering is None else next((known for known in offering.allowances if known.id == allowance_id), None)


def _taken(uses: Sequence[AllowanceUse], terms: Mapping[str, Allowance | None], priced: PricedUsage, wanted: Sequence[int]) -> list[int]:
    """How many steps (numerators, where allowances are money) of each part what was taken then pays for now."""
    taken = [0] * len(wanted)
    for use in uses:
        left = Fraction(use.quantity) / use.denominator
        allowance = terms[use.allowance_id]
        fitting = [position for position, part in enumerate(priced.parts) if allowance is None or allowance.covers_price(part.price)]
        for position in fitting or range(len(wanted)):
            price = priced.parts[position].price
            if allowance is not None and allowance.pays_whole(price):
                steps, used = (wanted[position] - taken[position], Fraction(1)) if left >= 1 else (0, Fraction(0))
            else:
                step = _step(allowance, price)
                steps = min(wanted[position] - taken[position], int(left / step))
                used = steps * step
            taken[position] += steps
            left -= used
    return taken


def _step(allowance: Allowance | None, price: CompiledPrice) -> Fraction:
    if allowance is None or (allowance.factors and price.usage_type not in allowance.factors):
        return Fraction(1, 10**price.decimals)
    return allowance.taken_by_step(price)

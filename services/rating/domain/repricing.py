"""Pricing a rated usage anew: by the function that priced it first, with the offering by which it stands and what allowances paid.

Nothing is drawn from an allowance and nothing given back: what paid for a usage when it was rated pays for as much of it now. What
was taken is counted by the terms of then, in the book and offering of the first rating, whatever prices the usage since.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from libs.contracts import AllowanceUse, Charge, RatedPart, RejectionReason, UsageRated, UsageReceived, UsageRerated
from libs.pricing import CompiledPrice, PricedUsage, RateBook, RateBooks, RejectedUsage
from libs.pricing.allowance import Allowance
from libs.pricing.allowance_kept import less_allowances
from libs.pricing.books_alone import each_alone
from services.rating.domain.holdings import Account, Product


@dataclass(frozen=True, slots=True)
class Standing:
    """A rated usage: `rated` is what it was first, `parts` the outcome that stands. `number` counts its re-ratings; `answer` is what
    this request made of it before."""

    usage: UsageReceived
    account_id: str
    product_id: str
    currency: str
    rated: tuple[RatedPart, ...]
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
            rated=rated_parts,
            parts=reratings[-1].new if reratings else rated_parts,
            allowances=rated.allowances,
            number=len(reratings),
            answer=next((rerated for rerated in reratings if rerated.request_id == request_id), None),
        )

    @property
    def first_charge_id(self) -> str:
        """The charge that counted it first."""
        return self.rated[0].charge_id


@dataclass(frozen=True, slots=True)
class Shelf:
    """The rate books of a request: those of today, the one that goes before them, and by id those that usage was priced by."""

    today: RateBooks
    by_id: Mapping[str, RateBooks]
    preferred: RateBook | None = None

    @classmethod
    def of(cls, today: RateBooks, preferred: RateBook | None = None) -> "Shelf":
        """Those of today are there by themselves as well."""
        return cls(today, each_alone(today), preferred)

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
        if isinstance(priced, RejectedUsage) or not standing.allowances:
            return priced
        terms = self._terms(standing, self._rated_offering(standing))
        return terms if isinstance(terms, RejectedUsage) else less_allowances(standing.allowances, terms, priced)

    def offering_of(self, standing: Standing) -> str:
        """The offering to price by: the one by which the outcome that stands was priced, or the present one where that is asked for."""
        if self.by_present_offering:
            return self._offerings(standing, standing.parts[0])[2]
        rated = self._rated_offering(standing)
        return rated if standing.number == 0 else self._offering_of_parts(standing, standing.parts, rated)

    def _rated_offering(self, standing: Standing) -> str:
        """The offering under which the usage was rated, whatever re-rated it since."""
        return self._offering_of_parts(standing, standing.rated, None)

    def _offering_of_parts(self, standing: Standing, parts: Sequence[RatedPart], allowing: str | None) -> str:
        """The offering that makes these parts of the usage; `allowing` is the one that has the allowances, None for the same."""
        charged, then, present = self._offerings(standing, parts[0])
        if then == charged:
            return charged
        # A charge goes on when its product changes to an offering with a price of the same name: then its own offering is the earlier one.
        return next((each for each in (charged, then, present) if self._explains(standing, parts, each, allowing or each)), charged)

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

    def _explains(self, standing: Standing, parts: Sequence[RatedPart], offering_id: str, allowing: str) -> bool:
        priced = self._by_own_book(standing, parts[0].rate_book, offering_id)
        terms = self._terms(standing, allowing)
        if priced is None or isinstance(terms, RejectedUsage):
            return False
        less = less_allowances(standing.allowances, terms, priced)
        return [(each.price_id, each.charged_quantity, Fraction(each.numerator, each.denominator)) for each in less.parts] == [
            (part.price_id, part.charged_quantity, Fraction(part.numerator, part.denominator)) for part in parts
        ]

    def _by_own_book(self, standing: Standing, book_id: str, offering_id: str) -> PricedUsage | None:
        books = self.shelf.by_id.get(book_id)
        if books is None:
            return None
        priced = books.price_usage(offering_id, standing.usage, time_zone=self.account.time_zone, currency=self.account.currency)
        return None if isinstance(priced, RejectedUsage) else priced

    def _terms(self, standing: Standing, offering_id: str) -> Mapping[str, Allowance] | RejectedUsage:
        """The terms by which allowances paid, by id, from the book by which the usage was rated: they say what was taken, seconds or
        money. Who does not know that leaves the usage as it is."""
        if not standing.allowances:
            return {}
        # The first part stands for the book that held when the usage began, from which was drawn.
        book_id = standing.rated[0].rate_book
        books = self.shelf.by_id.get(book_id)
        at, account = standing.usage.started_at, self.account
        offering = books.offering(offering_id, at, account.currency, account.time_zone) if books is not None else None
        known = {allowance.id: allowance for allowance in offering.allowances} if offering is not None else {}
        missing = next((use.allowance_id for use in standing.allowances if use.allowance_id not in known), None)
        if missing is not None:
            detail = f"allowance {missing} paid for it, which offering {offering_id} of rate book {book_id} does not have"
            return RejectedUsage(RejectionReason.NO_PRICE, detail)
        return known

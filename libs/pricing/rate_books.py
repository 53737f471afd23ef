"""All rate books together: they price a usage by the newest book that has its offering and was effective when it started."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import pairwise

from libs.contracts import QUANTITY_MAX, RejectionReason, UsageReceived
from libs.contracts.adjustments import NO_ADJUSTMENTS
from libs.pricing.allowance import Allowance, Shared
from libs.pricing.allowance_reader import GRANT_ALIKE, granted
from libs.pricing.compiled_price import CompiledPrice, PricedUsage
from libs.pricing.crossing import ends_before, price_in_parts
from libs.pricing.effective_date import EffectiveFrom
from libs.pricing.faults import Fault, RateBookInvalid
from libs.pricing.network_code import VISITED_NETWORK
from libs.pricing.price_table import NEVER, slot_until
from libs.pricing.rate_book import Offering, RateBook
from libs.pricing.recurring_price import RecurringPrice
from libs.pricing.recurring_versions import RecurringVersions
from libs.pricing.refusal import RejectedUsage
from libs.pricing.roaming import is_roaming
from libs.pricing.table_versions import NO_OFFERINGS, NO_TYPES, table_versions

NOTHING = Decimal(0)

# The offerings of one id, newest first, with when each takes effect.
Versions = list[tuple[EffectiveFrom, Offering]]


class RateBooks:
    """Books with unique ids; no two of them may change an offering in one currency at the same instant. Raises RateBookInvalid."""

    def __init__(self, books: Iterable[RateBook]) -> None:
        newest_first = sorted(books, key=lambda book: book.effective_from, reverse=True)
        faults = [*_repeated_ids(newest_first), *_simultaneous_changes(newest_first)]
        if faults:
            raise RateBookInvalid(faults)
        self._books = tuple(reversed(newest_first))
        self._by_currency: dict[str, dict[str, Versions]] = {}
        for book in newest_first:
            versions = self._by_currency.setdefault(book.currency, {})
            for offering in book.offerings.values():
                versions.setdefault(offering.id, []).append((book.takes_effect, offering))
        different = [fault for versions in self._by_currency.values() for fault in _different_shares(versions.values())]
        if different:
            raise RateBookInvalid(different)

        self._tables = table_versions(self._by_currency)
        # Most offerings are not: then a cut need not look further.
        self._adjusted = {_place(offering) for offering in _offerings(newest_first) if offering.adjustments != NO_ADJUSTMENTS}
        self._recurring: dict[tuple[str, str], RecurringVersions] = {}
        self._codes: dict[tuple[str, str, str, str], tuple[str, ...] | None] = {}

    @property
    def books(self) -> tuple[RateBook, ...]:
        """All of them, oldest first."""
        return self._books

    def price_usage(self, offering_id: str, usage: UsageReceived, *, time_zone: str, currency: str) -> PricedUsage | RejectedUsage:
        """Price a usage by its start, on the clock of the account's `time_zone`, or in parts where its price says so.

        Raises UnknownTimeZone.
        """
        if not NOTHING <= usage.quantity <= QUANTITY_MAX:
            return _refuse_quantity(usage)
        at = usage.started_at
        version = self._tables.get(currency, NO_TYPES).get(usage.usage_type, NO_OFFERINGS).get(offering_id)
        while version is not None and at < version.settled_at and not version.takes_effect.holds(at, time_zone):
            version = version.earlier
        if version is None or version.table is None:
            return self._refuse_type(offering_id, usage, time_zone, currency)
        price = version.table.find(usage, at, time_zone)
        if price is None or price.unit != usage.unit:
            return _refuse(price, usage, version.offering, at, time_zone)
        if price.splits and not ends_before(usage, self._same_until(version.offering, at, time_zone)):
            return price_in_parts(usage, price, partial(self._price_at, offering_id, usage, time_zone=time_zone, currency=currency))
        return price.price(usage)

    def offering(self, offering_id: str, at: datetime, currency: str, time_zone: str) -> Offering | None:
        """Return the prices of an offering that hold at an instant for accounts of that currency and zone. Raises UnknownTimeZone.

        This is the one place that says which book holds, with `price_usage`, which asks the same of its tables.
        """
        versions = self._by_currency.get(currency)
        if versions is not None:
            for takes_effect, offering in versions.get(offering_id, ()):
                if takes_effect.holds(at, time_zone):
                    return offering
        return None

    def is_ever_adjusted(self, offering_id: str, currency: str) -> bool:
        """Return whether any version of the offering in that currency has discounts, caps or commitments."""
        return (offering_id, currency) in self._adjusted

    def in_any_currency(self, offering_id: str, at: datetime, time_zone: str) -> list[Offering]:
        """The offering in each currency in which it is priced at an instant, for accounts of that zone."""
        found = (self.offering(offering_id, at, currency, time_zone) for currency in self._by_currency)
        return [offering for offering in found if offering is not None]

    def recurring_prices(self, offering_id: str, at: datetime, currency: str | None, time_zone: str) -> tuple[RecurringPrice, ...]:
        """The recurring fees of an offering that hold at an instant for accounts of that zone, in that currency or, where it is None, in
        all; none for an unknown offering."""
        if currency is None:
            return tuple(price for offering in self.in_any_currency(offering_id, at, time_zone) for price in offering.recurring_prices)
        offering = self.offering(offering_id, at, currency, time_zone)
        return offering.recurring_prices if offering is not None else ()

    def recurring_versions(self, offering_id: str, currency: str) -> RecurringVersions:
        """The recurring fees of an offering in that currency, whenever they hold; made when they are first asked for."""
        found = self._recurring.get((offering_id, currency))
        if found is None:
            versions = self._by_currency.get(currency, {}).get(offering_id, ())
            found = RecurringVersions.of((takes_effect, offering.recurring_prices) for takes_effect, offering in versions)
            self._recurring[offering_id, currency] = found
        return found

    def called_codes(self, offering_id: str, usage_type: str, at: datetime, currency: str, time_zone: str) -> tuple[str, ...] | None:
        """Return the short codes, and beginnings of codes, that an offering's prices of a usage type name at an instant.

        Returns: None where no price of that type looks at called numbers. Codes are called numbers without a plus.
        """
        offering = self.offering(offering_id, at, currency, time_zone)
        if offering is None:
            return None
        place = (offering.rate_book, offering.id, currency, usage_type)
        if place not in self._codes:
            named = {prefix for price in offering.usage_prices if price.match.usage_type == usage_type for prefix in price.match.called}
            self._codes[place] = tuple(sorted(prefix for prefix in named if not prefix.startswith("+"))) if named else None
        return self._codes[place]

    def _price(self, offering: Offering, usage: UsageReceived, at: datetime, time_zone: str) -> CompiledPrice | RejectedUsage:
        table = offering.tables.get(usage.usage_type)
        price = table.find(usage, at, time_zone) if table is not None else None
        if price is None or price.unit != usage.unit:
            return _refuse(price, usage, offering, at, time_zone)
        return price

    def _price_at(
        self, offering_id: str, usage: UsageReceived, at: datetime, *, time_zone: str, currency: str
    ) -> tuple[CompiledPrice | RejectedUsage, datetime]:
        """The price at a later instant of the usage, and until when it certainly is the same."""
        offering = self.offering(offering_id, at, currency, time_zone)
        assert offering is not None, f"{offering_id} was priced when the usage started"
        return self._price(offering, usage, at, time_zone), self._same_until(offering, at, time_zone)

    def _same_until(self, offering: Offering, at: datetime, time_zone: str) -> datetime:
        until = NEVER
        for takes_effect, version in self._by_currency[offering.currency][offering.id]:
            if version is offering:
                break
            until = takes_effect.in_zone(time_zone)
        return min(until, slot_until(offering.week, at, time_zone)) if offering.week.count > 1 else until

    def _refuse_type(self, offering_id: str, usage: UsageReceived, time_zone: str, currency: str) -> RejectedUsage:
        offering = self.offering(offering_id, usage.started_at, currency, time_zone)
        if offering is None:
            return self._refuse_offering(offering_id, usage.started_at, currency, time_zone)
        return _refuse(None, usage, offering, usage.started_at, time_zone)

    def _refuse_offering(self, offering_id: str, at: datetime, currency: str, time_zone: str) -> RejectedUsage:
        others = self.in_any_currency(offering_id, at, time_zone)
        if not others:
            return RejectedUsage(RejectionReason.NO_PRICE, f"no rate book effective at {at.isoformat()} has offering {offering_id!r}")
        priced = " and ".join(f"rate book {other.rate_book!r} prices offering {offering_id!r} in {other.currency}" for other in others)
        return RejectedUsage(RejectionReason.WRONG_CURRENCY, f"{priced}, the account pays in {currency}")


def _offerings(books: Iterable[RateBook]) -> Iterator[Offering]:
    return (offering for book in books for offering in book.offerings.values())


def _place(offering: Offering) -> tuple[str, str]:
    return offering.id, offering.currency


def _refuse_quantity(usage: UsageReceived) -> RejectedUsage:
    if usage.quantity < 0:
        return RejectedUsage(RejectionReason.NEGATIVE_QUANTITY, f"quantity {usage.quantity} is negative")
    return RejectedUsage(RejectionReason.ABSURD_QUANTITY, f"quantity {usage.quantity} exceeds {QUANTITY_MAX:.0E}")


def _refuse(price: CompiledPrice | None, usage: UsageReceived, offering: Offering, at: datetime, time_zone: str) -> RejectedUsage:
    if price is not None:
        return RejectedUsage(
            RejectionReason.WRONG_UNIT,
            f"price {price.price_id!r} of offering {offering.id!r} counts {price.unit}, the usage {usage.unit}",
        )
    called = f" to {usage.called_number}" if usage.called_number else ""
    if offering.home_networks is not None and is_roaming(usage, offering.home_networks):
        called += f" while roaming in network {usage.characteristics[VISITED_NETWORK]}"
    detail = (
        f"offering {offering.id!r} has no price for {usage.usage_type}{called} "
        f"at {at.isoformat()} ({time_zone}) in rate book {offering.rate_book!r}"
    )
    return RejectedUsage(RejectionReason.NO_PRICE, detail)


def _repeated_ids(books: Iterable[RateBook]) -> Iterator[Fault]:
    seen: dict[str, RateBook] = {}
    for book in sorted(books, key=lambda book: book.place):
        earlier = seen.setdefault(book.id, book)
        if earlier is not book:
            yield book.place.fault(f"rate book id {book.id!r} is already that of {earlier.place.file}", "give each book an id of its own")


def _simultaneous_changes(books: Iterable[RateBook]) -> Iterator[Fault]:
    seen: dict[tuple[str, str, EffectiveFrom], Offering] = {}
    versions: dict[tuple[str, str], Versions] = {}
    for book in sorted(books, key=lambda book: book.place):
        for offering in book.offerings.values():
            earlier = seen.setdefault((offering.id, book.currency, book.takes_effect), offering)
            if earlier is offering:
                versions.setdefault((offering.id, book.currency), []).append((book.takes_effect, offering))
            else:
                yield offering.place.fault(
                    f"rate book {earlier.rate_book!r} changes offering {offering.id!r} at the same instant, "
                    f"{book.takes_effect} ({earlier.place.file}:{earlier.place.line})",
                    "let one of the two books take effect later, or remove the offering from it",
                )
    for of_offering in versions.values():
        yield from _undecided_orders(sorted(of_offering, key=lambda version: version[0].earliest))


def _undecided_orders(oldest_first: Versions) -> Iterator[Fault]:
    """A fault for each date of a book that another book's instant lies on: which is later would depend on the account's zone."""
    for (takes_effect, earlier), (other, offering) in pairwise(oldest_first):
        if takes_effect.clashes(other):
            yield offering.place.fault(
                f"rate book {earlier.rate_book!r} changes offering {offering.id!r} on the same day ({takes_effect}, and {other}; "
                f"{earlier.place.file}:{earlier.place.line}): which of the two is newer depends on the account's time zone",
                "let both take effect on dates, or both at instants, or two days apart",
            )


def _different_shares(offerings: Iterable[Versions]) -> Iterator[Fault]:
    """Shared allowances that two books grant differently while both are in force: of one bucket, whoever draws first would decide."""
    shared: dict[tuple[Shared, str], list[tuple[EffectiveFrom, EffectiveFrom, Offering, Allowance]]] = {}
    for versions in offerings:
        until = EffectiveFrom.at(NEVER)
        for takes_effect, offering in versions:
            for allowance in offering.allowances:
                if allowance.shared is not Shared.PRODUCT:
                    shared.setdefault((allowance.shared, allowance.id), []).append((takes_effect, until, offering, allowance))
            until = takes_effect
    for grants in shared.values():
        grants.sort(key=lambda grant: (grant[0].earliest, grant[2].place))
        for position, (since, _, offering, allowance) in enumerate(grants):
            for _, until, other, earlier in grants[:position]:
                if since.may_precede(until) and offering.rate_book != other.rate_book and granted(allowance) != granted(earlier):
                    assert allowance.place is not None, f"{allowance.id} was read"
                    assert earlier.place is not None, f"{earlier.id} was read"
                    yield allowance.place.fault(
                        f"allowance {allowance.id!r} is shared, and rate book {other.rate_book!r} grants it otherwise at the same time "
                        f"({earlier.place.file}:{earlier.place.line})",
                        GRANT_ALIKE,
                    )
                    break

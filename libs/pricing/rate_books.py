"""All rate books together: they price a usage by the newest book that has its offering and was effective when it started."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal

from libs.contracts import QUANTITY_MAX, RejectionReason, UsageReceived
from libs.pricing.faults import Fault, RateBookInvalid
from libs.pricing.rate_book import Offering, RateBook, RecurringPrice
from libs.pricing.refusal import RejectedUsage
from libs.pricing.usage_price import PricedUsage

NOTHING = Decimal(0)


class RateBooks:
    """Books with unique ids; no two of them may change an offering at the same instant. Raises RateBookInvalid."""

    def __init__(self, books: Iterable[RateBook]) -> None:
        newest_first = sorted(books, key=lambda book: book.effective_from, reverse=True)
        faults = [*_repeated_ids(newest_first), *_simultaneous_changes(newest_first)]
        if faults:
            raise RateBookInvalid(faults)
        self._versions: dict[str, list[tuple[datetime, Offering]]] = {}
        for book in newest_first:
            for offering in book.offerings.values():
                self._versions.setdefault(offering.id, []).append((book.effective_from, offering))

    def price_usage(self, offering_id: str, usage: UsageReceived, *, time_zone: str, currency: str) -> PricedUsage | RejectedUsage:
        """Price a usage by its start, on the clock of the account's `time_zone`. Raises UnknownTimeZone."""
        if not NOTHING <= usage.quantity <= QUANTITY_MAX:
            return _refuse_quantity(usage)
        offering = self._effective(offering_id, usage.started_at)
        if offering is None:
            return RejectedUsage(
                RejectionReason.NO_PRICE, f"no rate book effective at {usage.started_at.isoformat()} has offering {offering_id!r}"
            )
        if offering.currency != currency:
            return RejectedUsage(
                RejectionReason.WRONG_CURRENCY,
                f"rate book {offering.rate_book!r} prices offering {offering_id!r} in {offering.currency}, the account pays in {currency}",
            )
        table = offering.tables.get(usage.usage_type)
        price = table.find(usage.called_number, usage.started_at, time_zone) if table is not None else None
        if price is None:
            return _refuse_unpriced(usage, offering, time_zone)
        if price.unit != usage.unit:
            return RejectedUsage(
                RejectionReason.WRONG_UNIT,
                f"price {price.price_id!r} of offering {offering_id!r} counts {price.unit}, the usage {usage.unit}",
            )
        return price.price(usage)

    def recurring_prices(self, offering_id: str, at: datetime) -> tuple[RecurringPrice, ...]:
        """The recurring fees of an offering as they stand at an instant; none for an unknown offering."""
        offering = self._effective(offering_id, at)
        return offering.recurring_prices if offering is not None else ()

    def _effective(self, offering_id: str, at: datetime) -> Offering | None:
        for effective_from, offering in self._versions.get(offering_id, ()):
            if effective_from <= at:
                return offering
        return None


def _refuse_quantity(usage: UsageReceived) -> RejectedUsage:
    if usage.quantity < 0:
        return RejectedUsage(RejectionReason.NEGATIVE_QUANTITY, f"quantity {usage.quantity:.6g} is negative")
    return RejectedUsage(RejectionReason.ABSURD_QUANTITY, f"quantity {usage.quantity:.6g} exceeds {QUANTITY_MAX:.0E}")


def _refuse_unpriced(usage: UsageReceived, offering: Offering, time_zone: str) -> RejectedUsage:
    called = f" to {usage.called_number}" if usage.called_number else ""
    detail = (
        f"offering {offering.id!r} has no price for {usage.usage_type}{called} "
        f"at {usage.started_at.isoformat()} ({time_zone}) in rate book {offering.rate_book!r}"
    )
    return RejectedUsage(RejectionReason.NO_PRICE, detail)


def _repeated_ids(books: Iterable[RateBook]) -> Iterator[Fault]:
    seen: dict[str, RateBook] = {}
    for book in sorted(books, key=lambda book: book.place):
        earlier = seen.setdefault(book.id, book)
        if earlier is not book:
            yield book.place.fault(f"rate book id {book.id!r} is already that of {earlier.place.file}", "give each book an id of its own")


def _simultaneous_changes(books: Iterable[RateBook]) -> Iterator[Fault]:
    seen: dict[tuple[str, datetime], Offering] = {}
    for book in sorted(books, key=lambda book: book.place):
        for offering in book.offerings.values():
            earlier = seen.setdefault((offering.id, book.effective_from), offering)
            if earlier is not offering:
                yield offering.place.fault(
                    f"rate book {earlier.rate_book!r} changes offering {offering.id!r} at the same instant, "
                    f"{book.effective_from.isoformat()} ({earlier.place.file}:{earlier.place.line})",
                    "let one of the two books take effect later, or remove the offering from it",
                )

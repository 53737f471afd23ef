"""Which prices of an offering hold when: its price lists one after another, as the validFor of its prices divides time."""

from collections.abc import Sequence
from datetime import datetime

from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Document

# Each is a rate book, and nobody plans so many changes of one offering ahead.
LISTS_MAX = 50

Prices = Sequence[tuple[str, Document]]


def price_lists(prices: Prices, since: datetime) -> list[tuple[datetime, Prices]]:
    """Each list with the instant from which on it holds, the first from `since`. `prices` are ids with resources, all in one
    currency; between them there may be none. Raises BadRequest when there are too many lists."""
    bounds = {instant for _, price in prices for instant in _validity(price) if instant is not None and instant > since}
    lists: list[tuple[datetime, Prices]] = []
    for instant in sorted({since, *bounds}):
        held = prices_at(prices, instant)
        if not lists or [id for id, _ in held] != [id for id, _ in lists[-1][1]]:
            lists.append((instant, held))
    if len(lists) > LISTS_MAX:
        raise BadRequest(f"the prices change {len(lists)} times, more than {LISTS_MAX}: put later ones in the offering when they come")
    return lists


def prices_at(prices: Prices, instant: datetime) -> Prices:
    """The prices that hold at an instant."""
    return [(id, price) for id, price in prices if _holds(price, instant)]


def is_past_kept(after: Document, before: Document, now: datetime) -> bool:
    """Whether a price holds until `now` as it held before: its start and its end are the same, or still to come."""
    (start, end), (start_before, end_before) = _validity(after), _validity(before)
    starts_ahead = all(one is not None and one > now for one in (start, start_before))
    ends_ahead = all(one is None or one > now for one in (end, end_before))
    return (start == start_before or starts_ahead) and (end == end_before or ends_ahead)


def has_ended(price: Document, instant: datetime) -> bool:
    """Whether a price holds no more."""
    _, end = _validity(price)
    return end is not None and end <= instant


def _holds(price: Document, instant: datetime) -> bool:
    start, _ = _validity(price)
    return (start is None or start <= instant) and not has_ended(price, instant)


def _validity(price: Document) -> tuple[datetime | None, datetime | None]:
    # A rate book takes effect at a whole second.
    start, end = (price.get("validFor", {}).get(name) for name in ("startDateTime", "endDateTime"))
    return start and start.replace(microsecond=0), end and end.replace(microsecond=0)

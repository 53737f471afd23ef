"""The time of a product with one of its offerings. Each is priced by itself."""

from collections.abc import Iterator
from dataclasses import dataclass

from libs.pricing.recurring_price import Boundary
from libs.pricing.recurring_share import Subscription
from services.rating.domain.holdings import Product


@dataclass(frozen=True, slots=True)
class Tenure:
    """A product's time with one offering. `number` counts the changes before it, so that it never becomes another's."""

    number: int
    offering_id: str
    subscription: Subscription


def tenures_of(product: Product) -> Iterator[Tenure]:
    """Yield the tenures of a product, the earliest first."""
    suspensions = tuple((suspension.start, suspension.end) for suspension in product.suspensions)
    start, started_by = product.started_at, Boundary.START
    for number, former in enumerate(product.former_offerings):
        if former.until <= start:
            continue
        if product.ended_at is not None and product.ended_at <= former.until:
            ended = Subscription(product.started_at, start, product.ended_at, started_by, Boundary.END, suspensions)
            yield Tenure(number, former.offering_id, ended)
            return
        changed = Subscription(product.started_at, start, former.until, started_by, Boundary.CHANGE, suspensions)
        yield Tenure(number, former.offering_id, changed)
        start, started_by = former.until, Boundary.CHANGE
    if product.ended_at is None or start < product.ended_at:
        present = Subscription(product.started_at, start, product.ended_at, started_by, Boundary.END, suspensions)
        yield Tenure(len(product.former_offerings), product.offering_id, present)

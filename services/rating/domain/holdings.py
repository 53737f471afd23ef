"""Who holds what: products with the identifiers they held and when, and the accounts that pay for them.

A usage is guided by its identifier and its own time, for numbers are ported and reused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.contracts import FormerOffering, ProductStatus, Suspension

# Never delivered, so no network can have served it.
NEVER_ACTIVE = frozenset({ProductStatus.CANCELLED, ProductStatus.ABORTED})
# What owes fees for its time.
CHARGED = frozenset({ProductStatus.ACTIVE, ProductStatus.SUSPENDED, ProductStatus.PENDING_TERMINATE, ProductStatus.TERMINATED})


@dataclass(frozen=True, slots=True)
class Account:
    """What rating knows of a billing account. `cuts` counts the cuts made so far per month label, `2026-03-01`.

    `billed_until` is the end of the latest period that a cut of the cycle was about. Fees that begin before `billed_from` were billed
    elsewhere.
    """

    id: str
    currency: str
    time_zone: str
    cuts: Mapping[str, int] = field(default_factory=dict)
    billed_until: datetime | None = None
    billed_from: datetime | None = None

    def bills_from(self, at: datetime) -> bool:
        """Return whether what begins at an instant is billed here."""
        return self.billed_from is None or at >= self.billed_from


@dataclass(frozen=True, slots=True)
class Product:
    """What rating knows of a product; half-open life, no end means still alive. `group_id`: whom it shares allowances with."""

    id: str
    account_id: str
    offering_id: str
    name: str
    status: str
    started_at: datetime
    ended_at: datetime | None = None
    group_id: str | None = None
    suspensions: tuple[Suspension, ...] = ()
    former_offerings: tuple[FormerOffering, ...] = ()
    changed_at: datetime | None = None

    @property
    def later_offering(self) -> str | None:
        """Its offering, unless that is the first that it ever had: then nothing need tell it apart."""
        if not self.former_offerings or self.former_offerings[0].offering_id == self.offering_id:
            return None
        return self.offering_id

    def as_of(self, at: datetime) -> "Product":
        """The product with the offering that it had at an instant."""
        for former in self.former_offerings:
            if at < former.until:
                return replace(self, offering_id=former.offering_id)
        return self


@dataclass(frozen=True, slots=True)
class Holding:
    """A product's tenure of one identifier: its validity within the product's life, half-open."""

    product: Product
    valid_from: datetime
    valid_to: datetime | None

    @classmethod
    def of(cls, product: Product, valid_from: datetime, valid_to: datetime | None) -> "Holding":
        """The part of the identifier's validity that lies within the product's life."""
        ends = [end for end in (valid_to, product.ended_at) if end is not None]
        return cls(product, max(valid_from, product.started_at), min(ends, default=None))


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a batch of usages needs to know: tenures by identifier, accounts by id."""

    by_identifier: Mapping[str, Sequence[Holding]]
    accounts: Mapping[str, Account]


def holder_at(tenures: Sequence[Holding], at: datetime) -> Product | None:
    """The product that held the identifier then, with its offering of then: where tenures overlap, the one that took it last."""
    best: Holding | None = None
    for tenure in tenures:
        if tenure.valid_from <= at and (tenure.valid_to is None or at < tenure.valid_to):
            if tenure.product.status in NEVER_ACTIVE:
                continue
            if best is None or (tenure.valid_from, tenure.product.id) > (best.valid_from, best.product.id):
                best = tenure
    return best.product.as_of(at) if best else None

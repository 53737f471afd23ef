"""The state of a product by which a cut charged its fees. Where it differs from the present state, the next cut corrects fees."""

from dataclasses import dataclass

from libs.pricing import RateBooks
from services.rating.domain.holdings import CHARGED, Account, Product


@dataclass(frozen=True, slots=True)
class ChargedAs:
    """The product, and in `terms` a digest of the fees that the books had for its offerings."""

    product: Product
    terms: str


def charged_as(account: Account, product: Product, books: RateBooks) -> ChargedAs:
    """Return the state by which a cut charges a product now."""
    offering_ids = [*(former.offering_id for former in product.former_offerings), product.offering_id]
    return ChargedAs(product, " ".join(books.recurring_versions(id, account.currency).terms for id in offering_ids))


def is_charged_alike(now: ChargedAs, before: ChargedAs | None) -> bool:
    """Return whether no fee can have changed between two cuts."""
    return before is not None and before.terms == now.terms and owes_alike(now.product, before.product)


def owes_alike(product: Product, before: Product) -> bool:
    """Return whether nothing has changed on which the fees of a product depend."""
    return _life(product) == _life(before)


def _life(product: Product) -> tuple[object, ...]:
    return (
        product.status in CHARGED,
        product.started_at,
        product.ended_at,
        product.offering_id,
        product.suspensions,
        product.former_offerings,
    )

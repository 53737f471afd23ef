"""As what a product was known to the cut that charged its fees last. Where it is known otherwise now, the next cut looks back."""

from dataclasses import dataclass

from libs.pricing import RateBooks
from services.rating.domain.holdings import CHARGED, Account, Product


@dataclass(frozen=True, slots=True)
class ChargedAs:
    """The product, and by its `terms` which fees the books had for its offerings."""

    product: Product
    terms: str


def charged_as(account: Account, product: Product, books: RateBooks) -> ChargedAs:
    """What a cut charges by."""
    if not product.former_offerings:
        return ChargedAs(product, books.recurring_versions(product.offering_id, account.currency).terms)
    offering_ids = [*(former.offering_id for former in product.former_offerings), product.offering_id]
    return ChargedAs(product, " ".join(books.recurring_versions(id, account.currency).terms for id in offering_ids))


def is_charged_alike(now: ChargedAs, before: ChargedAs | None) -> bool:
    """Whether a cut has nothing to correct."""
    return before is not None and before.terms == now.terms and owes_alike(now.product, before.product)


def owes_alike(product: Product, before: Product) -> bool:
    """Whether nothing has changed on which its fees depend."""
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

"""Products as rating knew them at an earlier time: a cut is adopted on what it was decided on, not on what came later."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import ProductChanged
from libs.runtime.published import Published
from services.rating.directory import PRODUCT_FIELDS, TO_CHARGE_READ, Directory, ProductsToCharge, product_of
from services.rating.domain.holdings import CHARGED, Product


class DirectoryThen(Directory):
    """The directory as it was at `then`; of products that were not published since the backup it is as it is."""

    def __init__(self, store: AsyncDatabase) -> None:
        super().__init__(store)
        self.then = datetime.max.replace(tzinfo=UTC)
        self._restored: dict[str, Product] = {}
        self._revisions: dict[str, list[tuple[datetime, Product]]] = {}

    async def learn(self, products: Iterable[Published[ProductChanged]]) -> None:
        """Remember revisions with when they were published, besides keeping the newest as ever."""
        products = list(products)
        unseen = {product.fact.id for product in products} - self._revisions.keys()
        async for document in self._products.find({"_id": {"$in": list(unseen)}, "revision": {"$exists": True}}):
            self._restored[document["_id"]] = product_of(document)
        for product in products:
            told: dict[str, Any] = {"_id": product.fact.id, **product.fact.model_dump(include=set(PRODUCT_FIELDS))}
            self._revisions.setdefault(product.fact.id, []).append((product.at, product_of(told)))
        await self.remember_products(product.fact for product in products)

    async def products_to_charge(self, account_ids: Iterable[str], read: Mapping[str, int] = TO_CHARGE_READ) -> ProductsToCharge:
        """Return the products of each account as they were known then."""
        now = await super().products_to_charge(account_ids, read)
        then = {id: [then for product in held if (then := self._then(product)) is not None] for id, held in now.products.items()}
        charged = {product.id for held in then.values() for product in held if product.status in CHARGED}
        return ProductsToCharge(then, now.charged_as, {id: [each for each in ids if each in charged] for id, ids in now.unmarked.items()})

    def _then(self, product: Product) -> Product | None:
        revisions = self._revisions.get(product.id)
        if revisions is None:
            return product
        heard = [revision for at, revision in revisions if at <= self.then]
        return heard[-1] if heard else self._restored.get(product.id)

"""Who holds which identifier, and who pays: rating's copies of products and accounts, with what was read of them last.

A changed product is logged after it is written, and each batch reads the log first, so no batch sees an older product. An account's
currency and zone never change. A cut counts on without any log: usage for the charge that it closed collides, and is decided again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import AccountChanged, FormerOffering, ProductChanged, Suspension
from libs.runtime import Index
from libs.runtime.copies import remember_newest
from services.rating.domain.fees import ChargedAs
from services.rating.domain.holdings import CHARGED, Account, Holding, Holdings, Product
from services.rating.holdings_cache import HoldingsCache, Known
from services.rating.product_changes import ProductChanges

INDEXES = (
    Index("products", (("identifiers.value", 1),), "guiding: products by identifier"),
    Index("products", (("account_id", 1),), "cut: products of an account"),
)
ACCOUNT_FIELDS = ("currency", "time_zone", "billed_from")
PRODUCT_FIELDS = (
    "account_id",
    "offering_id",
    "name",
    "status",
    "started_at",
    "ended_at",
    "identifiers",
    "group_id",
    "suspensions",
    "former_offerings",
    "changed_at",
)
# What is not asked for need not be decoded.
ACCOUNT_READ = dict.fromkeys((*ACCOUNT_FIELDS, "cuts", "billed_until"), 1)
PAYER_READ = dict.fromkeys(("currency", "time_zone", "cuts"), 1)
PRODUCT_READ = dict.fromkeys(PRODUCT_FIELDS, 1)
TO_CHARGE_READ = {**PRODUCT_READ, "charged_as": 1, "first_cut_id": 1}


class ProductsToCharge(NamedTuple):
    """Products by account, the states by which they were charged last, and the ids of those that no cut of a cycle has met."""

    products: dict[str, list[Product]]
    charged_as: dict[str, dict[str, ChargedAs]]
    unmarked: dict[str, list[str]]


class Directory:
    """The collections `accounts` and `products` of rating."""

    def __init__(self, store: AsyncDatabase) -> None:
        self._accounts = store["accounts"]
        self._products = store["products"]
        # Instants without a zone take a third of the time to decode. MongoDB keeps all in UTC.
        naive = store.codec_options.with_options(tz_aware=False)
        self._payers = store.get_collection("accounts", codec_options=naive)
        self._held = store.get_collection("products", codec_options=naive)
        self._changes = ProductChanges(store)
        self._cache = HoldingsCache()

    async def remember_accounts(self, accounts: Iterable[AccountChanged]) -> None:
        """Keep the newest revision of each."""
        await remember_newest(self._accounts, accounts, ACCOUNT_FIELDS)

    async def remember_products(self, products: Iterable[ProductChanged]) -> None:
        """Keep the newest revision of each."""
        products = list(products)
        await remember_newest(self._products, products, PRODUCT_FIELDS)
        keys = {key for product in products for key in (product.id, *(held.value for held in product.identifiers))}
        await self._changes.add(keys)

    async def holdings(self, identifiers: Iterable[str]) -> Holdings:
        """Return what is known now about these identifiers. Accounts come without what only cuts ask for: when they are billed."""
        await self._forget_changed()
        known, missing = self._cache.find(set(identifiers))
        if missing:
            read = await self._read(missing)
            self._cache.keep(read)
            known |= read
        return Holdings(
            {identifier: each.tenures for identifier, each in known.items()},
            {account.id: account for each in known.values() for account in each.accounts},
        )

    def forget_accounts(self, account_ids: Iterable[str]) -> None:
        """Read these accounts again: a cut has changed them."""
        self._cache.forget(account_ids)

    async def accounts(self, account_ids: Iterable[str], session: Any = None) -> dict[str, Account]:
        """The accounts that are known, as they are stored now."""
        found = self._accounts.find({"_id": {"$in": list(account_ids)}, "currency": {"$exists": True}}, ACCOUNT_READ, session=session)
        return {document["_id"]: _account(document) for document in await found.to_list()}

    async def products_of(self, account_ids: Iterable[str]) -> dict[str, list[Product]]:
        """The products of each account."""
        return (await self.products_to_charge(account_ids, PRODUCT_READ)).products

    async def products_to_charge(self, account_ids: Iterable[str], read: Mapping[str, int] = TO_CHARGE_READ) -> ProductsToCharge:
        """Return the products of each account, and what cuts of a cycle noted of them."""
        products: dict[str, list[Product]] = {}
        known: dict[str, dict[str, ChargedAs]] = {}
        unmarked: dict[str, list[str]] = {}
        for document in await self._products.find({"account_id": {"$in": list(account_ids)}}, read).sort("_id", 1).to_list():
            product = product_of(document)
            products.setdefault(product.account_id, []).append(product)
            if "charged_as" in document:
                known.setdefault(product.account_id, {})[product.id] = _charged_as(product, document["charged_as"])
            if "first_cut_id" not in document and product.status in CHARGED:
                unmarked.setdefault(product.account_id, []).append(product.id)
        return ProductsToCharge(products, known, unmarked)

    async def remember_charged(self, first_cuts: Mapping[str, str], known: Mapping[str, ChargedAs | None], session: Any) -> None:
        """Mark the products that a cut met first, and those that it charged as something else than the one before it."""
        marks: dict[str, dict[str, dict[str, Any]]] = {}
        for product_id, cut_id in first_cuts.items():
            marks.setdefault(product_id, {}).setdefault("$set", {})["first_cut_id"] = cut_id
        for product_id, now in known.items():
            if now is None:
                marks.setdefault(product_id, {})["$unset"] = {"charged_as": ""}
            else:
                marks.setdefault(product_id, {}).setdefault("$set", {})["charged_as"] = _charged_as_document(now)
        if marks:
            written = [UpdateOne({"_id": product_id}, mark) for product_id, mark in marks.items()]
            await self._products.bulk_write(written, ordered=False, session=session)

    async def _forget_changed(self) -> None:
        keys = await self._changes.unread()
        if keys is None:
            self._cache.forget_all()
        elif keys:
            self._cache.forget(keys)

    async def _read(self, identifiers: list[str]) -> dict[str, Known]:
        read_at = self._cache.now
        tenures = await self._read_tenures(identifiers)
        accounts = await self._read_payers({held.product.account_id for each in tenures.values() for held in each})
        return {identifier: _known(read_at, tuple(tenures.get(identifier, ())), accounts) for identifier in identifiers}

    async def _read_tenures(self, identifiers: list[str]) -> Mapping[str, list[Holding]]:
        tenures: dict[str, list[Holding]] = defaultdict(list)
        for document in await self._held.find({"identifiers.value": {"$in": identifiers}}, PRODUCT_READ).to_list():
            product = product_of(document)
            for held in document["identifiers"]:
                tenures[held["value"]].append(Holding.of(product, _utc(held["valid_from"]), _end(held["valid_to"])))
        return tenures

    async def _read_payers(self, account_ids: Iterable[str]) -> dict[str, Account]:
        found = self._payers.find({"_id": {"$in": list(account_ids)}, "currency": {"$exists": True}}, PAYER_READ)
        return {document["_id"]: _account(document) for document in await found.to_list()}


def _known(read_at: int, tenures: tuple[Holding, ...], accounts: Mapping[str, Account]) -> Known:
    return Known(read_at, tenures, tuple([accounts[id] for held in tenures if (id := held.product.account_id) in accounts]))


def _account(document: dict[str, Any]) -> Account:
    billed_until, billed_from = _end(document.get("billed_until")), _end(document.get("billed_from"))
    return Account(document["_id"], document["currency"], document["time_zone"], document.get("cuts", {}), billed_until, billed_from)


def product_of(document: dict[str, Any]) -> Product:
    """Return the product of a document."""
    return Product(
        document["_id"],
        document["account_id"],
        document["offering_id"],
        document["name"],
        document["status"],
        _utc(document["started_at"]),
        _end(document["ended_at"]),
        document.get("group_id"),
        tuple([Suspension(start=_utc(each["start"]), end=_end(each["end"])) for each in document.get("suspensions", ())]),
        tuple([_former(each) for each in document.get("former_offerings", ())]),
        _end(document.get("changed_at")),
    )


def _former(document: dict[str, Any]) -> FormerOffering:
    return FormerOffering(offering_id=document["offering_id"], until=_utc(document["until"]))


def _charged_as(product: Product, document: dict[str, Any]) -> ChargedAs:
    before = replace(
        product,
        offering_id=document["offering_id"],
        status=document["status"],
        started_at=_utc(document["started_at"]),
        ended_at=_end(document["ended_at"]),
        suspensions=tuple(Suspension(**suspension) for suspension in document["suspensions"]),
        former_offerings=tuple(FormerOffering(**former) for former in document["former_offerings"]),
    )
    return ChargedAs(before, document["terms"])


def _charged_as_document(known: ChargedAs) -> dict[str, Any]:
    product = known.product
    return {
        "offering_id": product.offering_id,
        "status": product.status,
        "started_at": product.started_at,
        "ended_at": product.ended_at,
        "suspensions": [suspension.model_dump() for suspension in product.suspensions],
        "former_offerings": [former.model_dump() for former in product.former_offerings],
        "terms": known.terms,
    }


def _utc(instant: datetime) -> datetime:
    # The driver's own UTC object makes every comparison with Python's a slow one.
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def _end(instant: datetime | None) -> datetime | None:
    return None if instant is None else _utc(instant)

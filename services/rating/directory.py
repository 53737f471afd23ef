"""Who holds which identifier, and who pays: rating's copies of products and accounts, cached and never stale.

A counter is raised after every change and read once per batch: another number than last time empties the cache.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import AccountChanged, FormerOffering, ProductChanged, Suspension
from libs.runtime import Index
from libs.runtime.copies import remember_newest
from services.rating.domain.fees import ChargedAs
from services.rating.domain.holdings import CHARGED, Account, Holding, Holdings, Product

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
# Read for each customer once, and then as seldom as possible: what is not asked for need not be decoded.
ACCOUNT_READ = dict.fromkeys((*ACCOUNT_FIELDS, "cuts", "billed_until"), 1)
PRODUCT_READ = dict.fromkeys(PRODUCT_FIELDS, 1)
TO_CHARGE_READ = {**PRODUCT_READ, "charged_as": 1, "first_cut_id": 1}
# Identifiers and accounts kept; 1 KB each at most, so that a worker stays small however many there are.
CACHE_SIZE_MAX = 50_000

V = TypeVar("V")


class _Cache(Generic[V]):
    """A bounded cache; the entry looked up longest ago goes first. Holds what is not there (None) as well."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, V] = OrderedDict()

    def pick(self, keys: Iterable[str]) -> tuple[dict[str, V], list[str]]:
        """Those that are cached, and the keys of the others."""
        entries = self._entries
        found: dict[str, V] = {}
        missing: list[str] = []
        for key in keys:
            if key in entries:
                entries.move_to_end(key)
                found[key] = entries[key]
            else:
                missing.append(key)
        return found, missing

    def keep(self, entries: dict[str, V]) -> None:
        self._entries.update(entries)
        while len(self._entries) > CACHE_SIZE_MAX:
            self._entries.popitem(last=False)

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()


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
        self._versions = store["directory_version"]
        self._version = -1
        self._tenures: _Cache[Sequence[Holding]] = _Cache()
        self._payers: _Cache[Account | None] = _Cache()

    async def remember_accounts(self, accounts: Iterable[AccountChanged]) -> None:
        """Keep the newest revision of each."""
        await remember_newest(self._accounts, accounts, ACCOUNT_FIELDS)
        await self._raise_version()

    async def remember_products(self, products: Iterable[ProductChanged]) -> None:
        """Keep the newest revision of each."""
        await remember_newest(self._products, products, PRODUCT_FIELDS)
        await self._raise_version()

    async def holdings(self, identifiers: Iterable[str]) -> Holdings:
        """What is known now about these identifiers."""
        await self._empty_if_changed()
        version = self._version
        tenures, missing = self._tenures.pick(set(identifiers))
        if missing:
            found = await self._find_tenures(missing)
            tenures |= found
            # What was read before somebody else emptied the cache is of the old version.
            if version == self._version:
                self._tenures.keep(found)
        payers = {tenure.product.account_id for held in tenures.values() for tenure in held}
        accounts, missing = self._payers.pick(payers)
        if missing:
            known = await self.accounts(missing)
            found_accounts: dict[str, Account | None] = {account_id: known.get(account_id) for account_id in missing}
            accounts |= found_accounts
            if version == self._version:
                self._payers.keep(found_accounts)
        return Holdings(tenures, {account_id: account for account_id, account in accounts.items() if account is not None})

    def forget_accounts(self, account_ids: Iterable[str]) -> None:
        """Read these accounts again: a cut has changed them."""
        self._payers.forget(account_ids)

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

    async def _find_tenures(self, identifiers: list[str]) -> dict[str, Sequence[Holding]]:
        tenures: dict[str, list[Holding]] = {identifier: [] for identifier in identifiers}
        for document in await self._products.find({"identifiers.value": {"$in": identifiers}}, PRODUCT_READ).to_list():
            product = product_of(document)
            for held in document["identifiers"]:
                if held["value"] in tenures:
                    tenures[held["value"]].append(Holding.of(product, held["valid_from"].astimezone(UTC), _utc(held["valid_to"])))
        return {identifier: tuple(held) for identifier, held in tenures.items()}

    async def _empty_if_changed(self) -> None:
        document = await self._versions.find_one({"_id": "directory"})
        version = document["version"] if document else 0
        if version != self._version:
            self._tenures.clear()
            self._payers.clear()
            self._version = version

    async def _raise_version(self) -> None:
        # After the write, never before: a batch between the two would cache the old under the new number.
        await self._versions.update_one({"_id": "directory"}, {"$inc": {"version": 1}}, upsert=True)


def _account(document: dict[str, Any]) -> Account:
    billed_until, billed_from = _utc(document.get("billed_until")), _utc(document.get("billed_from"))
    return Account(document["_id"], document["currency"], document["time_zone"], document.get("cuts", {}), billed_until, billed_from)


def product_of(document: dict[str, Any]) -> Product:
    """Return the product of a document."""
    return Product(
        document["_id"],
        document["account_id"],
        document["offering_id"],
        document["name"],
        document["status"],
        document["started_at"].astimezone(UTC),
        _utc(document["ended_at"]),
        document.get("group_id"),
        tuple(Suspension(**suspension) for suspension in document.get("suspensions", ())),
        tuple(FormerOffering(**former) for former in document.get("former_offerings", ())),
        _utc(document.get("changed_at")),
    )


def _charged_as(product: Product, document: dict[str, Any]) -> ChargedAs:
    before = replace(
        product,
        offering_id=document["offering_id"],
        status=document["status"],
        started_at=document["started_at"].astimezone(UTC),
        ended_at=_utc(document["ended_at"]),
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


def _utc(instant: datetime | None) -> datetime | None:
    # The driver's own UTC object makes every comparison with Python's a slow one.
    return None if instant is None else instant.astimezone(UTC)

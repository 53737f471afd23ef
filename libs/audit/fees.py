"""The fees of every account whose cycle was cut, computed again from its products and the rate books, beside what was charged.

Accounts are read before their products and charges, so that a cut in between charges more than is looked for, never less.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from libs.audit.domain.fees import BilledAccount, ChargedFee, KnownProduct, check_fees
from libs.audit.findings import Findings
from libs.audit.reader import Document, Reader, in_slices
from libs.contracts import ChargeKind, ProductStatus
from libs.money import sum_fractions
from libs.periods import Period
from libs.pricing import RateBooks

# The charges of all their fees are in memory at a time.
ACCOUNTS_AT_A_TIME = 200
FEES = [ChargeKind.RECURRING.value, ChargeKind.ONE_TIME.value]
# What owes fees for its time.
CHARGED = frozenset({ProductStatus.ACTIVE, ProductStatus.SUSPENDED, ProductStatus.PENDING_TERMINATE, ProductStatus.TERMINATED})
PRODUCT_FIELDS = ("account_id", "started_at", "ended_at", "offering_id", "former_offerings", "suspensions")
ACCOUNT_FIELDS = ("currency", "time_zone", "billed_until", "billed_from")


async def audit_fees(books: RateBooks, reader: Reader, findings: Findings) -> None:
    """Look for fees that nobody charged although the product was active."""
    billed = reader.find(
        "rating", "accounts", {"billed_until": {"$exists": True}, **reader.among("_id")}, fields=ACCOUNT_FIELDS, sort="_id"
    )
    async for documents in in_slices(billed, ACCOUNTS_AT_A_TIME):
        accounts = {document["_id"]: _account(document) for document in documents}
        account_ids = {"$in": list(accounts)}
        found = reader.find("rating", "products", {"account_id": account_ids}, fields=("account_id", "status", "charged_as"))
        products = [product async for product in found]
        charged = await _charged(reader, account_ids)
        for product in products:
            account = accounts[product["account_id"]]
            known = product.get("charged_as")
            if known is None or known["terms"] != _terms(known, account.currency, books):
                findings.checked["products whose fees the next cut compares"] += 1
            elif known["status"] in CHARGED:
                findings.checked["products with fees" if charged.get(product["_id"]) else "products without fees"] += 1
                fees = charged.get(product["_id"], ())
                findings.add(*check_fees(account, known_product(product["_id"], known), fees, books), key=account.id)


async def _charged(reader: Reader, account_ids: Mapping[str, list[str]]) -> dict[str, list[ChargedFee]]:
    """Return the charges of fees by product."""
    charged: dict[str, list[ChargedFee]] = {}
    query = {"account_id": account_ids, "kind": {"$in": FEES}}
    async for charge in reader.find("rating", "charges", query, fields=("product_id", "price_id", "period", "sums")):
        fee = ChargedFee(charge["price_id"], Period(**charge["period"]), sum_fractions(charge["sums"]))
        charged.setdefault(charge["product_id"], []).append(fee)
    return charged


def _account(document: Document) -> BilledAccount:
    return BilledAccount(
        document["_id"], document["currency"], document["time_zone"], document["billed_until"], document.get("billed_from")
    )


def known_product(product_id: str, known: Document) -> KnownProduct:
    """Return a product as it is stored, or as it was charged last."""
    suspensions = tuple((each["start"], each["end"]) for each in known.get("suspensions", ()))
    return KnownProduct(product_id, known["started_at"], known["ended_at"], tuple(_offerings(known)), suspensions)


def _offerings(known: Document) -> Iterator[tuple[str, datetime | None]]:
    yield from ((former["offering_id"], former["until"]) for former in known.get("former_offerings", ()))
    yield known["offering_id"], None


def _terms(known: Document, currency: str, books: RateBooks) -> str:
    """Return what tells whether the books have other fees than at the last cut."""
    offering_ids: Sequence[str] = [offering_id for offering_id, _ in _offerings(known)]
    return " ".join(books.recurring_versions(offering_id, currency).terms for offering_id in offering_ids)

"""The fees of every account whose cycle was cut, computed again from its products and the rate books, beside what was charged.

Accounts are read before their products and charges, so that a cut in between charges more than is looked for, never less.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime

from libs.audit.domain.fees import BilledAccount, ChargedFee, KnownProduct, check_fees
from libs.audit.findings import Findings
from libs.audit.reader import Document, Reader
from libs.contracts import ChargeKind, ProductStatus
from libs.money import sum_fractions
from libs.periods import Period
from libs.pricing import RateBooks

# The charges of all their fees are in memory at a time.
ACCOUNTS_AT_A_TIME = 200
FEES = [ChargeKind.RECURRING.value, ChargeKind.ONE_TIME.value]
# What owes fees for its time.
CHARGED = frozenset({ProductStatus.ACTIVE, ProductStatus.SUSPENDED, ProductStatus.PENDING_TERMINATE, ProductStatus.TERMINATED})
ACCOUNT_FIELDS = ("currency", "time_zone", "billed_until", "billed_from")


async def audit_fees(reader: Reader, books: RateBooks, findings: Findings) -> None:
    """Look for fees that nobody charged although the product was active."""
    async for accounts in _accounts(reader):
        account_ids = {"$in": list(accounts)}
        products = [
            product
            async for product in reader.find(
                "rating", "products", {"account_id": account_ids}, fields=("account_id", "status", "charged_as")
            )
        ]
        charged = await _charged(reader, account_ids)
        for product in products:
            account = accounts[product["account_id"]]
            known = product.get("charged_as")
            if known is None or known["terms"] != _terms(known, account.currency, books):
                findings.checked["products whose fees the next cut compares"] += 1
            elif known["status"] in CHARGED:
                findings.checked["products with fees" if charged.get(product["_id"]) else "products without fees"] += 1
                findings.add(*check_fees(account, _known(product["_id"], known), charged.get(product["_id"], ()), books))


async def _accounts(reader: Reader) -> AsyncIterator[dict[str, BilledAccount]]:
    accounts: dict[str, BilledAccount] = {}
    async for account in reader.find("rating", "accounts", {"billed_until": {"$exists": True}}, fields=ACCOUNT_FIELDS, sort="_id"):
        billed = BilledAccount(
            account["_id"], account["currency"], account["time_zone"], account["billed_until"], account.get("billed_from")
        )
        accounts[billed.id] = billed
        if len(accounts) == ACCOUNTS_AT_A_TIME:
            yield accounts
            accounts = {}
    if accounts:
        yield accounts


async def _charged(reader: Reader, account_ids: Mapping[str, list[str]]) -> dict[str, list[ChargedFee]]:
    """Return the charges of fees by product."""
    charged: dict[str, list[ChargedFee]] = {}
    query = {"account_id": account_ids, "kind": {"$in": FEES}}
    async for charge in reader.find("rating", "charges", query, fields=("product_id", "price_id", "period", "sums")):
        fee = ChargedFee(charge["price_id"], Period(**charge["period"]), sum_fractions(charge["sums"]))
        charged.setdefault(charge["product_id"], []).append(fee)
    return charged


def _known(product_id: str, known: Document) -> KnownProduct:
    suspensions = tuple((each["start"], each["end"]) for each in known["suspensions"])
    return KnownProduct(product_id, known["started_at"], known["ended_at"], tuple(_offerings(known)), suspensions)


def _offerings(known: Document) -> Iterator[tuple[str, datetime | None]]:
    yield from ((former["offering_id"], former["until"]) for former in known["former_offerings"])
    yield known["offering_id"], None


def _terms(known: Document, currency: str, books: RateBooks) -> str:
    """Return what tells whether the books have other fees than at the last cut."""
    offering_ids: Sequence[str] = [offering_id for offering_id, _ in _offerings(known)]
    return " ".join(books.recurring_versions(offering_id, currency).terms for offering_id in offering_ids)

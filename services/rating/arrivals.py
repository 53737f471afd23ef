"""Requests to retry what waits in suspense for something that has just been stored, or that was stored meanwhile.

Who stores a product, account or book looks for what waits for it afterwards. Who suspends a usage looks once more afterwards
whether it came meanwhile. So of two workers that do both at the same time, at least one sees what the other did.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from libs.contracts import AccountChanged, ProductChanged, SuspenseRetryRequested, TariffAccepted, UsageRejected
from services.rating.directory import Directory
from services.rating.domain.arrivals import missed_keys, retries_of
from services.rating.domain.deciding import Rater
from services.rating.domain.limits import UsageLimits, identifiers_of
from services.rating.domain.waiting import account_key, identifier_key, offering_key
from services.rating.suspense import SuspenseStore
from services.rating.tariffs import Tariffs


class Arrivals:
    """What arrives, against what waits for it."""

    def __init__(self, suspense: SuspenseStore, directory: Directory, tariffs: Tariffs, limits: UsageLimits) -> None:
        self._suspense = suspense
        self._directory = directory
        self._tariffs = tariffs
        self._limits = limits

    async def of_products(self, products: Iterable[ProductChanged]) -> Sequence[SuspenseRetryRequested]:
        """Return retries of what waits for identifiers that these products hold, once the products are stored."""
        return await self._retries(
            {identifier_key(held.value): f"{product.id}:{product.revision}" for product in products for held in product.identifiers}
        )

    async def of_accounts(self, accounts: Iterable[AccountChanged]) -> Sequence[SuspenseRetryRequested]:
        """Return retries of what waits for these accounts, once they are stored."""
        return await self._retries({account_key(account.id): f"{account.id}:{account.revision}" for account in accounts})

    async def of_books(self, accepted: Sequence[TariffAccepted]) -> Sequence[SuspenseRetryRequested]:
        """Return retries of what waits for prices of the offerings of these books, once they are in force."""
        cause = " ".join(sorted(answer.id for answer in accepted))
        offering_ids = await self._tariffs.offering_ids(answer.book_id for answer in accepted)
        return await self._retries({offering_key(offering_id): cause for offering_id in offering_ids})

    async def missed(self, rejected: Collection[UsageRejected], now: datetime) -> Sequence[SuspenseRetryRequested]:
        """Return retries of usages, once they are in suspense, that would be decided otherwise by what is known now."""
        waiting = [each for each in rejected if each.waits_for]
        usages = [each.usage for each in waiting if each.usage is not None]
        if not usages:
            return []
        books = await self._tariffs.current()
        holdings = await self._directory.holdings(identifiers_of(usages, self._limits.intake.numbers))
        keys = missed_keys(waiting, Rater(holdings, books, self._limits, now))
        return retries_of(keys, (usage.id for usage in usages))

    async def _retries(self, causes: Mapping[str, str]) -> Sequence[SuspenseRetryRequested]:
        waiting = await self._suspense.waiting(causes.keys())
        return retries_of(waiting, (causes[key] for key in waiting))

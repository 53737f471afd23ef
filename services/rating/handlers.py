"""Handlers of rating: find, decide, add, and return what is to be told."""

from collections.abc import Sequence

from libs.contracts import AccountChanged, BillIssued, Fact, PeriodCut, ProductChanged, UsageReceived
from libs.money import UnknownCurrency, minor_unit_decimals
from libs.periods import UnknownTimeZone, time_zone
from libs.pricing import RateBooks
from libs.runtime import Batch, Unprocessable
from services.rating.cuts import CutStore
from services.rating.directory import Directory
from services.rating.domain.cutting import Cutter, one_per_account
from services.rating.domain.deciding import Earlier, Rater, decide
from services.rating.domain.limits import UsageLimits
from services.rating.domain.suspense import reject_malformed
from services.rating.store import BilledTwice, Collision, UsageStore

# Each look finds what somebody else did in between; so many in a row mean that something else is wrong.
LOOKS_MAX = 20


async def rate_usages(
    batch: Batch[UsageReceived], *, store: UsageStore, directory: Directory, books: RateBooks, limits: UsageLimits
) -> Sequence[Fact]:
    """Guide, price and count usages; what cannot be rated goes to suspense."""
    malformed = [(bad, reject_malformed(bad.record.value or b"", bad.reason)) for bad in batch.malformed]
    earlier: dict[str, Earlier] = {}
    for _ in range(LOOKS_MAX):
        holdings = await directory.holdings(usage.identifier for usage in batch)
        decisions = decide(batch, earlier, Rater(holdings, books, limits, batch.received_at))
        try:
            await store.add(decisions, malformed, batch.received_at)
        except Collision:
            earlier = await store.find_earlier(batch)
            directory.forget_accounts(await store.accounts_of_cut_charges(decisions))
            continue
        return [*decisions.answers, *(rejected for _, rejected in malformed)]
    raise RuntimeError(f"a batch of {len(batch)} usages collided {LOOKS_MAX} times in a row")


async def remember_accounts(batch: Batch[AccountChanged], *, directory: Directory) -> Sequence[Fact]:
    """Keep rating's copy of accounts."""
    currencies = await directory.currencies(account.id for account in batch)
    for account in batch:
        _check(account, currencies.setdefault(account.id, account.currency))
    await directory.remember_accounts(batch)
    return []


def _check(account: AccountChanged, currency: str) -> None:
    """Raises Unprocessable for an account that nothing could be rated for."""
    try:
        time_zone(account.time_zone)
        minor_unit_decimals(account.currency)
    except (UnknownTimeZone, UnknownCurrency) as error:
        raise Unprocessable(f"account {account.id}: {error}") from error
    if account.currency != currency:
        raise Unprocessable(f"account {account.id} is in {currency} and cannot change to {account.currency}: open another account")


async def remember_products(batch: Batch[ProductChanged], *, directory: Directory) -> Sequence[Fact]:
    """Keep rating's copy of products and the identifiers they hold."""
    await directory.remember_products(batch)
    return []


async def cut_periods(batch: Batch[PeriodCut], *, cuts: CutStore, books: RateBooks) -> Sequence[Fact]:
    """Close what accounts owe."""
    cutter = Cutter(books, batch.received_at)
    answers: dict[str, Fact] = {}
    for cuts_of_round in one_per_account(batch):
        answers |= await cuts.make(cuts_of_round, cutter)
    return [answers[cut.id] for cut in batch]


async def mark_charges_billed(batch: Batch[BillIssued], *, store: UsageStore) -> Sequence[Fact]:
    """Charges learn which bill they are on and which taxes they bear."""
    try:
        await store.mark_billed(batch.facts)
    except BilledTwice as error:
        raise Unprocessable(str(error)) from error
    return []

"""Handlers of rating: find, decide, add, and return what is to be told."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.contracts import (
    AccountChanged,
    AccountParked,
    BillIssued,
    BillPreviewRefused,
    BillPreviewRequested,
    Charge,
    ChargesClosed,
    ChargesPreviewed,
    CutRefused,
    Fact,
    FeesNotCharged,
    PeriodCut,
    ProductChanged,
    RerateCompleted,
    RerateRequested,
    SuspenseDiscardRequested,
    SuspenseResolved,
    SuspenseRetryRequested,
    TariffAccepted,
    TariffPublished,
    ThresholdCrossed,
    UsageReceived,
)
from libs.money import UnknownCurrency, minor_unit_decimals
from libs.periods import UnknownTimeZone, time_zone, to_utc_milliseconds
from libs.pricing import RateBooks
from libs.runtime import Batch, Unprocessable
from services.rating.arrivals import Arrivals
from services.rating.buckets import BucketStore
from services.rating.charges import ChargeNotForBill, ChargeStore
from services.rating.collisions import Collision
from services.rating.crossings import CrossingStore
from services.rating.cuts import CutStore, CutTerms
from services.rating.directory import Directory
from services.rating.domain.crossing import find_reached, rate_again, watch
from services.rating.domain.cuts import one_per_account
from services.rating.domain.deciding import Earlier, Rated, Rater, decide, rejected_of
from services.rating.domain.drawing import draw_allowances, plan_draws
from services.rating.domain.limits import UsageLimits, identifiers_of
from services.rating.domain.repricing import Shelf
from services.rating.domain.rerating import Rerater, Reratings
from services.rating.domain.rerating_request import book_of, complete, ends, obstacle, progressed, refuse, rest_of
from services.rating.domain.retrying import proceed, retry, usages_of
from services.rating.domain.suspense import reject_malformed
from services.rating.rerating import ReratingStore
from services.rating.store import UsageStore
from services.rating.suspense import RETRIED_AT_A_TIME, SuspenseStore
from services.rating.tariffs import Tariffs

# Each look finds what somebody else did in between; so many in a row mean that something else is wrong.
LOOKS_MAX = 20


@dataclass(frozen=True, slots=True)
class RatingTerms:
    """The terms by which usage is rated."""

    books: Tariffs
    limits: UsageLimits


async def rate_usages(
    batch: Batch[UsageReceived],
    *,
    store: UsageStore,
    charges: ChargeStore,
    buckets: BucketStore,
    crossings: CrossingStore,
    directory: Directory,
    arrivals: Arrivals,
    terms: RatingTerms,
) -> Sequence[Fact]:
    """Guide and price usages, draw for them from allowances, and count them; what cannot be rated goes to suspense.

    Then tell which thresholds are reached.
    """
    malformed = [(bad, reject_malformed(bad.record.value or b"", bad.reason)) for bad in batch.malformed]
    earlier: dict[str, Earlier] = {}
    books = await terms.books.current()
    for _ in range(LOOKS_MAX):
        holdings = await directory.holdings(identifiers_of(batch, terms.limits.intake.numbers))
        rater = Rater(holdings, books, terms.limits, batch.received_at)
        decisions = decide(batch, earlier, rater)
        plan = plan_draws(decisions.rated, books)
        drawn = draw_allowances(decisions.rated, plan, await buckets.find(plan.bucket_ids))
        decisions = decisions.with_draws(drawn.rated)
        try:
            await store.add(decisions, drawn.changes, malformed, batch.received_at)
        except Collision:
            earlier = await store.find_earlier(batch)
            directory.forget_accounts(await charges.accounts_cut(decisions.rated))
            continue
        again = rate_again(earlier, rater)
        crossed = await _tell_crossings([*decisions.rated, *again], earlier, books, crossings, batch.received_at)
        missed = await arrivals.missed([*decisions.rejected, *rejected_of(earlier)], batch.received_at)
        return [*decisions.answers, *(rejected for _, rejected in malformed), *crossed, *missed]
    raise RuntimeError(f"{len(batch)} usages collided {LOOKS_MAX} times in a row")


async def _tell_crossings(
    rated: Sequence[Rated], earlier: Collection[str], books: RateBooks, crossings: CrossingStore, at: datetime
) -> Sequence[ThresholdCrossed]:
    """Look at what the months of these usages owe, once they are stored; what was told for usages decided `earlier` is told again."""
    watched = watch(rated, books)
    for _ in range(LOOKS_MAX):
        owed = await crossings.charges_of(watched)
        try:
            return await crossings.tell(find_reached(watched, owed, to_utc_milliseconds(at)), earlier)
        except Collision:
            continue
    raise RuntimeError(f"what {len(watched)} months reached was told by others {LOOKS_MAX} times in a row")


async def retry_suspended(
    batch: Batch[SuspenseRetryRequested],
    *,
    suspense: SuspenseStore,
    store: UsageStore,
    charges: ChargeStore,
    buckets: BucketStore,
    crossings: CrossingStore,
    directory: Directory,
    arrivals: Arrivals,
    terms: RatingTerms,
) -> Sequence[Fact]:
    """Rate what can now be rated, some of it at a time; the rest of a long list is asked for again."""
    answers: list[Fact] = []
    books = await terms.books.current()
    for request in batch:
        for _ in range(LOOKS_MAX):
            entries = await suspense.find_to_retry(request)
            usages = usages_of(entries)
            holdings = await directory.holdings(identifiers_of(usages, terms.limits.intake.numbers))
            rater = Rater(holdings, books, terms.limits, batch.received_at)
            earlier = await store.find_earlier(usages)
            retries = retry(entries, earlier, rater, is_released=request.beyond_limits)
            rated = list(retries.rated.values())
            plan = plan_draws(rated, books)
            drawn = draw_allowances(rated, plan, await buckets.find(plan.bucket_ids))
            retries = retries.with_draws(drawn.rated)
            try:
                await suspense.resolve(retries, drawn.changes, request, batch.received_at)
            except Collision:
                directory.forget_accounts(await charges.accounts_cut(retries.rated.values()))
                continue
            break
        else:
            raise RuntimeError(f"retry {request.id} collided {LOOKS_MAX} times in a row")
        again = rate_again(earlier, rater)
        answers += await _tell_crossings([*retries.rated.values(), *again], earlier, books, crossings, batch.received_at)
        answers += await arrivals.missed(list(retries.rejected.values()), batch.received_at)
        answers += [*retries.answers, proceed(request, retries, entries, RETRIED_AT_A_TIME, await suspense.refusal(request, entries))]
    return answers


async def discard_suspended(batch: Batch[SuspenseDiscardRequested], *, suspense: SuspenseStore) -> Sequence[Fact]:
    """Give suspended usages up, each with its note."""
    answers: list[Fact] = []
    for request in batch:
        if await suspense.discard(request, batch.received_at):
            answers.append(SuspenseResolved(id=request.id, discarded_count=1))
        else:
            answers.append(SuspenseResolved(id=request.id, refusal=await suspense.refusal(request, [])))
    return answers


async def rerate_usages(batch: Batch[RerateRequested], *, reratings: ReratingStore, terms: RatingTerms) -> Sequence[Fact]:
    """Price usage anew, some of it at a time; the rest is asked for again."""
    answers: list[Fact] = []
    books = await terms.books.current()
    for request in batch:
        for _ in range(LOOKS_MAX):
            try:
                answers += await _rerate(request, reratings, books, to_utc_milliseconds(batch.received_at))
            except Collision:
                continue
            break
        else:
            raise RuntimeError(f"request {request.id} collided {LOOKS_MAX} times in a row")
    return answers


async def _rerate(request: RerateRequested, store: ReratingStore, books: RateBooks, now: datetime) -> Sequence[Fact]:
    """One step of a request. Raises Collision when somebody changed what it was decided on."""
    earlier = await store.answer(request.id)
    if earlier is not None:
        return [earlier] if request.dry_run else await _repeat(request, earlier, store)
    account = await store.account(request.account_id)
    if account is None:
        return [refuse(request, f"rating knows no account {request.account_id}", now)]
    reason = obstacle(request, account, books, now)
    if reason is not None:
        return [refuse(request, reason, now)]
    found = await store.find(request, rest_of(request))
    repricer = found.repricer(account, Shelf.of(books, book_of(books, request.rate_book)), by_present_offering=request.by_present_offering)
    reratings = Rerater(request.id, repricer, now).rerate(found.standings)
    opened: Mapping[str, Charge] = {}
    if request.dry_run:
        opened = await store.to_be_opened(reratings, now)
    else:
        await store.add(reratings, now)
    progress = progressed(request, reratings, len(found.standings), found.resume_at, opened)
    facts = [] if request.dry_run else reratings.facts
    if not ends(request, progress):
        return [*facts, request.model_copy(update={"progress": progress})]
    charges = await store.charges(movement.charge_id for movement in progress.movements)
    completed = complete(request, progress, charges, account.currency, now)
    return [*facts, completed if request.dry_run else await store.end(completed)]


async def _repeat(request: RerateRequested, earlier: RerateCompleted, store: ReratingStore) -> Sequence[Fact]:
    """One step of a request that was answered before: what it decided then, for nobody may have been told, and at its end the same answer.

    Usage that came since shifts the steps, so all of them are gone through again.
    """
    found = await store.find(request, rest_of(request))
    repeated = Reratings(repeated=[standing.answer for standing in found.standings if standing.answer is not None])
    if found.resume_at >= (earlier.stopped_at or request.period.end):
        return [*repeated.facts, earlier]
    progress = progressed(request, repeated, len(found.standings), found.resume_at, {})
    return [*repeated.facts, request.model_copy(update={"progress": progress})]


async def remember_accounts(batch: Batch[AccountChanged], *, directory: Directory, arrivals: Arrivals) -> Sequence[Fact]:
    """Keep rating's copy of accounts, and ask for the retry of usage that waited for them."""
    known = await directory.accounts(account.id for account in batch)
    fixed = {account_id: (account.currency, account.time_zone) for account_id, account in known.items()}
    for account in batch:
        _check(account, *fixed.setdefault(account.id, (account.currency, account.time_zone)))
    await directory.remember_accounts(batch)
    return await arrivals.of_accounts(batch)


def _check(account: AccountChanged, currency: str, zone_name: str) -> None:
    """Raises Unprocessable for an account that nothing could be rated for, or whose charges are in another currency or zone."""
    try:
        time_zone(account.time_zone)
        minor_unit_decimals(account.currency)
    except (UnknownTimeZone, UnknownCurrency) as error:
        raise Unprocessable(f"account {account.id}: {error}") from error
    if account.currency != currency:
        raise Unprocessable(f"account {account.id} is in {currency} and cannot change to {account.currency}: open another account")
    if account.time_zone != zone_name:
        # Months of charges are named by their local days: in another zone, cuts would be counted under names that no charge has.
        raise Unprocessable(f"account {account.id} lives in {zone_name} and cannot move to {account.time_zone}: open another account")


async def remember_products(batch: Batch[ProductChanged], *, directory: Directory, arrivals: Arrivals) -> Sequence[Fact]:
    """Keep rating's copy of products and the identifiers they hold, and ask for the retry of usage that waited for them."""
    await directory.remember_products(batch)
    return await arrivals.of_products(batch)


async def publish_tariffs(batch: Batch[TariffPublished], *, tariffs: Tariffs, arrivals: Arrivals) -> Sequence[Fact]:
    """Take rate books, or say what is wrong with them, and ask for the retry of usage that waited for their prices."""
    answers = await tariffs.take(batch, batch.received_at)
    return [*answers, *await arrivals.of_books([answer for answer in answers if isinstance(answer, TariffAccepted)])]


async def cut_periods(batch: Batch[PeriodCut], *, cuts: CutStore, books: Tariffs) -> Sequence[Fact]:
    """Close what accounts owe."""
    terms = CutTerms(await books.current(), batch.received_at)
    answers: dict[str, ChargesClosed | CutRefused] = {}
    for cuts_of_round in one_per_account(batch):
        answers |= await cuts.make(cuts_of_round, terms)
    return [fact for cut in batch for fact in _told_of(answers[cut.id])]


def _told_of(answer: ChargesClosed | CutRefused) -> Iterator[Fact]:
    """Yield the answer to a cut, after what it passes over for good."""
    if isinstance(answer, ChargesClosed) and answer.fees_not_charged:
        yield FeesNotCharged(
            id=answer.id, account_id=answer.account_id, run_type=answer.run_type, cause_id=answer.cause_id, fees=answer.fees_not_charged
        )
    yield answer


async def preview_charges(batch: Batch[BillPreviewRequested], *, cuts: CutStore, books: Tariffs) -> Sequence[Fact]:
    """Answer each request with what a cut would close now, or why there would be none. No cut is made."""
    terms = CutTerms(await books.current(), batch.received_at)
    answers: list[Fact] = []
    for cuts_of_round in one_per_account(request.cut() for request in batch):
        answers += map(_previewed, (await cuts.preview(cuts_of_round, terms)).values())
    return answers


def _previewed(answer: ChargesClosed | CutRefused) -> ChargesPreviewed | BillPreviewRefused:
    if isinstance(answer, CutRefused):
        return BillPreviewRefused(id=answer.id, request_id=answer.cause_id, account_id=answer.account_id, reason=answer.reason)
    return ChargesPreviewed(id=answer.id, account_id=answer.account_id, charges=answer)


async def return_charges(batch: Batch[AccountParked], *, cuts: CutStore) -> Sequence[Fact]:
    """The charges of cuts that will never be billed go to the next cut of their accounts."""
    final = [parked.id for parked in batch if parked.is_final]
    if final:
        await cuts.give_back(final, batch.received_at)
    return []


async def mark_charges_billed(batch: Batch[BillIssued], *, charges: ChargeStore) -> Sequence[Fact]:
    """Charges learn which bill they are on and which taxes they bear."""
    try:
        await charges.mark_billed(batch.facts)
    except ChargeNotForBill as error:
        raise Unprocessable(str(error)) from error
    return []

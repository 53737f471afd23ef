"""A request to re-rate, from its first step to its answer: what it moved so far travels in it, so that nothing is kept meanwhile."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from libs.contracts import Charge, ChargeDifference, ChargeMovement, RerateCompleted, RerateProgress, RerateRequested
from libs.contracts.fact import TEXT_LENGTH_MAX
from libs.money import sum_exactly
from libs.periods import Period
from libs.pricing import RateBook, RateBooks
from libs.pricing.charge_amount import line_amount
from services.rating.domain.holdings import Account
from services.rating.domain.rerating import Movement, Reratings, movements_of

# In a message of 8 MB, where each may be new: 1 KB. What differs more is to be asked for in shorter intervals.
CHARGES_MAX = 4_000
NOTHING = Decimal(0)


def obstacle(request: RerateRequested, account: Account, books: RateBooks, now: datetime) -> str | None:
    """Why nothing can be re-rated by the book that is asked for, or None."""
    if request.rate_book is None:
        return None
    book = book_of(books, request.rate_book)
    if book is None:
        return f"there is no rate book {request.rate_book}: see `tarifa tariff list`"
    if book.currency != account.currency:
        return f"rate book {book.id} is in {book.currency}, account {account.id} in {account.currency}: name a book in {account.currency}"
    if book.effective_from > now and not request.dry_run:
        # Until then it may be replaced, and nobody could tell any more why usage was priced so.
        return (
            f"rate book {book.id} may still change until {book.effective_from.isoformat()}: publish one that is in force, or try --dry-run"
        )
    return None


def book_of(books: RateBooks, id: str | None) -> RateBook | None:
    """The book of that id."""
    return next((book for book in books.books if book.id == id), None)


def rest_of(request: RerateRequested) -> Period:
    """The interval that is still to be done."""
    if request.progress is None:
        return request.period
    return Period(start=request.progress.resume_at, end=request.period.end)


def progressed(
    request: RerateRequested, reratings: Reratings, usage_count: int, resume_at: datetime, opened: Mapping[str, Charge]
) -> RerateProgress:
    """How far a request has come after a step. `opened` has charges of a dry run that are not there."""
    before = request.progress or RerateProgress(resume_at=request.period.start)
    moved = {movement.charge_id: movement for movement in before.movements}
    for charge_id, movement in movements_of(reratings.facts).items():
        moved[charge_id] = _plus(moved.get(charge_id, ChargeMovement(charge_id=charge_id, opened=opened.get(charge_id))), movement)
    example = before.unpriced_example or (reratings.unpriced[0][:TEXT_LENGTH_MAX] if reratings.unpriced else None)
    return RerateProgress(
        resume_at=resume_at,
        usage_count=before.usage_count + usage_count,
        rerated_count=before.rerated_count + len(reratings.facts),
        unpriced_count=before.unpriced_count + len(reratings.unpriced),
        unpriced_example=example,
        movements=tuple(moved.values()),
    )


def ends(request: RerateRequested, progress: RerateProgress) -> bool:
    """Whether a request is answered after this step: all is done, or too much differs for one answer."""
    return progress.resume_at >= request.period.end or len(progress.movements) > CHARGES_MAX


def complete(
    request: RerateRequested, progress: RerateProgress, charges: Mapping[str, Charge], currency: str, now: datetime
) -> RerateCompleted:
    """The answer. `charges` are those that are there now: after a real re-rating with what it moved, else without."""
    differences = [
        _difference(movement, charges.get(movement.charge_id) or movement.opened, dry_run=request.dry_run)
        for movement in progress.movements
    ]
    differences.sort(key=lambda difference: (difference.product_id, difference.period.start, difference.charge_id))
    return RerateCompleted(
        id=request.id,
        account_id=request.account_id,
        period=request.period,
        dry_run=request.dry_run,
        currency=currency,
        usage_count=progress.usage_count,
        rerated_count=progress.rerated_count,
        unpriced_count=progress.unpriced_count,
        unpriced_example=progress.unpriced_example,
        before=sum_exactly(difference.before for difference in differences),
        after=sum_exactly(difference.after for difference in differences),
        differences=tuple(differences),
        stopped_at=progress.resume_at if progress.resume_at < request.period.end else None,
        completed_at=now,
    )


def refuse(request: RerateRequested, reason: str, now: datetime) -> RerateCompleted:
    """The answer to a request that cannot be met. It decides nothing: the same request may be met later."""
    return RerateCompleted(
        id=request.id,
        account_id=request.account_id,
        period=request.period,
        dry_run=request.dry_run,
        refusal=reason[:TEXT_LENGTH_MAX],
        completed_at=now,
    )


def moved(charge: Charge, movement: ChargeMovement, *, back: bool = False) -> Charge:
    """The charge with what is moved, or without it."""

    def added(before: Decimal, more: Decimal) -> Decimal:
        return sum_exactly([before, more.copy_negate() if back else more])

    sums = {
        denominator: added(charge.sums.get(denominator, NOTHING), movement.sums.get(denominator, NOTHING))
        for denominator in dict.fromkeys((*charge.sums, *movement.sums))
    }
    usage_count = charge.usage_count - movement.usage_count if back else charge.usage_count + movement.usage_count
    return charge.model_copy(update={"usage_count": usage_count, "quantity": added(charge.quantity, movement.quantity), "sums": sums})


def _plus(before: ChargeMovement, movement: Movement) -> ChargeMovement:
    sums = dict(before.sums)
    for denominator, numerator in movement.sums.items():
        sums[str(denominator)] = sum_exactly([sums.get(str(denominator), NOTHING), Decimal(numerator)])
    return before.model_copy(
        update={
            "usage_count": before.usage_count + movement.usage_count,
            "quantity": sum_exactly([before.quantity, movement.quantity]),
            "sums": sums,
        }
    )


def _difference(movement: ChargeMovement, charge: Charge | None, *, dry_run: bool) -> ChargeDifference:
    assert charge is not None, f"charge {movement.charge_id} was posted to and is not there"
    with_it = moved(charge, movement) if dry_run else charge
    without = charge if dry_run else moved(charge, movement, back=True)
    return ChargeDifference(
        charge_id=charge.id,
        product_id=charge.product_id,
        price_id=charge.price_id,
        kind=charge.kind,
        description=charge.description,
        period=charge.period,
        usage_count=movement.usage_count,
        quantity=movement.quantity,
        before=line_amount(without),
        after=line_amount(with_it),
    )

"""Retrying suspended usages: what can now be rated is rated, once; the rest waits on with its reason of today."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from libs.contracts import SuspenseResolved, SuspenseRetryRequested, UsageRated, UsageReceived, UsageRejected
from services.rating.domain.deciding import Earlier, Rated, Rater, answers_with_draws, rated_fact
from services.rating.domain.suspense import Suspended, reject_conflicting


@dataclass(frozen=True, slots=True)
class Retries:
    """`rated` and `rejected` are new decisions by suspense id; `settled` were rated already, in whatever way.

    `answers` tells the outcome of each entry.
    """

    rated: dict[str, Rated] = field(default_factory=dict)
    rejected: dict[str, UsageRejected] = field(default_factory=dict)
    settled: list[str] = field(default_factory=list)
    answers: list[UsageRated | UsageRejected] = field(default_factory=list)

    def with_draws(self, rated: Iterable[Rated]) -> "Retries":
        """The same once some of the usages, in the order of `rated`, drew from allowances."""
        drawn = dict(zip(self.rated, rated, strict=True))
        return replace(self, rated=drawn, answers=answers_with_draws(self.answers, drawn.values()))

    @property
    def rated_count(self) -> int:
        """How many of the entries are rated now."""
        return sum(isinstance(answer, UsageRated) for answer in self.answers)


def usages_of(entries: Iterable[Suspended]) -> list[UsageReceived]:
    """The usages that can be read."""
    return [entry.usage for entry in entries if entry.usage is not None]


def retry(entries: Iterable[Suspended], earlier: Mapping[str, Earlier], rater: Rater, *, is_released: bool = False) -> Retries:
    """Decide each entry anew. `earlier` is what is stored of their usages; `is_released`: their quantities may be beyond the limits."""
    retries = Retries()
    claimed: set[str] = set()
    for entry in entries:
        answer = _retry_one(entry, earlier, partial(rater.rate, is_released=is_released or entry.is_released), retries, claimed)
        retries.answers.append(answer)
    return retries


def _retry_one(
    entry: Suspended,
    earlier: Mapping[str, Earlier],
    rate: Callable[[UsageReceived], Rated | UsageRejected],
    retries: Retries,
    claimed: set[str],
) -> UsageRated | UsageRejected:
    usage = entry.usage
    if usage is None:
        return _waits_on(entry)
    known = earlier.get(usage.id)
    if known is not None and known.usage != usage:
        return _rejected(entry, reject_conflicting(usage), retries)
    match known.answer if known is not None else None:
        case UsageRated() as answer:
            if entry.retry_id is None:
                retries.settled.append(entry.id)
            return answer
        case UsageRejected(suspense_id=other) if other != entry.id:
            return _waits_on(entry)
    if usage.id in claimed:
        return _waits_on(entry)
    claimed.add(usage.id)
    outcome = rate(usage)
    if isinstance(outcome, UsageRejected):
        return _rejected(entry, outcome, retries)
    retries.rated[entry.id] = outcome
    return rated_fact(outcome)


def _rejected(entry: Suspended, rejected: UsageRejected, retries: Retries) -> UsageRejected:
    answer = rejected.model_copy(update={"suspense_id": entry.id})
    retries.rejected[entry.id] = answer
    return answer


def _waits_on(entry: Suspended) -> UsageRejected:
    usage_id = entry.usage.id if entry.usage is not None else None
    return UsageRejected(
        suspense_id=entry.id, usage_id=usage_id, reason=entry.reason, detail=entry.detail, usage=entry.usage, waits_for=entry.waits_for
    )


def proceed(
    request: SuspenseRetryRequested, retries: Retries, entries: Sequence[Suspended], at_a_time: int, refusal: str | None
) -> SuspenseRetryRequested | SuspenseResolved:
    """What follows after one step of a retry: the next step when this one was full, else its end."""
    rated_count = request.rated_count + retries.rated_count
    suspended_count = request.suspended_count + len(entries) - retries.rated_count
    if len(entries) == at_a_time:
        counts = {"rated_count": rated_count, "suspended_count": suspended_count}
        return request.model_copy(update={"after": entries[-1].id, **counts})
    return SuspenseResolved(id=request.id, rated_count=rated_count, suspended_count=suspended_count, refusal=refusal)


def refuse_absent(suspense_id: str, state: str | None) -> str:
    """Why an entry cannot be retried or discarded. `state` is what it is in, None when it never was."""
    if state is None:
        return f"nothing is in suspense under {suspense_id}: see `tarifa suspense list`"
    return f"{suspense_id} waits no longer: it was {state} before"

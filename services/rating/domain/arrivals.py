"""What suspended usage waits for, and the requests that retry it when that arrives.

A usage waits under keys: the identifier that no product held, the account that was unknown, the offering that had no price. The
fact that brings one of these asks for the retry of all that waits under its key. What fails again waits for the next arrival.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from libs.contracts import SuspenseRetryRequested, UsageRejected
from services.rating.domain.deciding import Rated, Rater

# Keys in one request: an onboarding of thousands of products is then retried in few transactions.
KEYS_AT_A_TIME = 100
_DIGEST_LENGTH = 32


def retries_of(keys: Iterable[str], causes: Iterable[str]) -> list[SuspenseRetryRequested]:
    """Return requests to retry what waits under these keys. Their ids derive from keys and causes, so a repeat is the same request."""
    ordered, cause = sorted(set(keys)), "\0".join(sorted(set(causes)))
    slices = (ordered[start : start + KEYS_AT_A_TIME] for start in range(0, len(ordered), KEYS_AT_A_TIME))
    return [SuspenseRetryRequested(id=_request_id(keys_of_one, cause), waits_for=tuple(keys_of_one)) for keys_of_one in slices]


def missed_keys(rejected: Iterable[UsageRejected], rater: Rater) -> Iterator[str]:
    """Return the keys of suspended usages that are decided otherwise now: what they waited for arrived before they waited."""
    for before in rejected:
        if before.usage is None or not before.waits_for:
            continue
        # What waits for something has passed the limits, or was released from them.
        outcome = rater.rate(before.usage, is_released=True)
        if isinstance(outcome, Rated) or set(outcome.waits_for) != set(before.waits_for):
            yield from before.waits_for


def _request_id(keys: Sequence[str], cause: str) -> str:
    content = "\0".join((*keys, "", cause))
    return f"arrival-{hashlib.sha256(content.encode()).hexdigest()[:_DIGEST_LENGTH]}"

"""Facts as a document's outbox keeps them: messages that Kafka takes and every consumer reads.

A document is stored together with its messages. So what cannot be announced is refused before it is stored.
"""

from collections.abc import Iterable
from typing import Any

from libs.contracts import Fact
from libs.contracts.fact import MalformedFact
from libs.runtime.publisher import MESSAGE_BYTES_MAX
from services.tmf_gateway.domain.refusal import BadRequest, TooLarge

# A consumer that cannot process a message parks it, in Base64, within a message of its own.
ANNOUNCED_BYTES_MAX = MESSAGE_BYTES_MAX // 2


def outbox_entries(revision: int, facts: Iterable[Fact]) -> list[dict[str, Any]]:
    """Return the outbox entries of a revision's facts.
    Raises TooLarge for a fact that is too large for Kafka, BadRequest for one that no consumer could read."""
    return [{"revision": revision, "topic": fact.topic, "message": _announceable(fact)} for fact in facts]


def _announceable(fact: Fact) -> bytes:
    message = fact.to_message()
    if len(message) > ANNOUNCED_BYTES_MAX:
        raise TooLarge(
            f"the event that tells of it would have {len(message)} bytes, {ANNOUNCED_BYTES_MAX} are the most: it repeats the "
            "resource, with numbers written out; send a smaller resource"
        )
    try:
        type(fact).from_message(message)
    except MalformedFact as error:
        raise BadRequest(f"the event that tells of it could not be read: {error}") from None
    return message

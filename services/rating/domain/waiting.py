"""The keys under which suspended usage waits for a product, an account or a price."""

from collections.abc import Iterable

from libs.contracts import RejectionReason

# What another book, or another offering of the product, may mend.
MENDED_BY_BOOKS = frozenset(
    {RejectionReason.NO_PRICE, RejectionReason.WRONG_CURRENCY, RejectionReason.WRONG_UNIT, RejectionReason.INVALID_NUMBER}
)


def identifier_key(identifier: str) -> str:
    """The key of what waits for a product with this identifier."""
    return f"identifier:{identifier}"


def identifier_keys(identifiers: Iterable[str]) -> tuple[str, ...]:
    """The same of several identifiers, each once."""
    return tuple(map(identifier_key, dict.fromkeys(identifiers)))


def account_key(account_id: str) -> str:
    """The key of what waits for this account."""
    return f"account:{account_id}"


def offering_key(offering_id: str) -> str:
    """The key of what waits for prices of this offering."""
    return f"offering:{offering_id}"

"""Re-ratings as documents of `reratings`, and back as the facts that they were."""

from decimal import Decimal

from msgspec.structs import asdict

from libs.contracts import AllowanceUse, ChargePosting, RatedPart, UsageRerated
from services.rating.documents import Document, stored_number

_LARGE = ("numerator", "denominator")
_QUANTITIES = ("quantity", "charged_quantity")


def rerated_document(fact: UsageRerated) -> Document:
    """As it is stored."""
    document = {name: value for name, value in asdict(fact).items() if name != "id"}
    return {
        "_id": fact.id,
        **document,
        "old": [_plain(part) for part in fact.old],
        "new": [_plain(part) for part in fact.new],
        "postings": [_plain(posting) for posting in fact.postings],
        "allowances": [_plain(use) for use in fact.allowances],
    }


def _plain(part: RatedPart | ChargePosting | AllowanceUse) -> Document:
    # Numerators and denominators may have more than 64 bits.
    return {name: stored_number(value) if isinstance(value, Decimal) or name in _LARGE else value for name, value in asdict(part).items()}


def rerated_fact(document: Document) -> UsageRerated:
    """As it was told; numbers may be stored as decimals, which integers were once, too."""
    return UsageRerated(
        **{name: document[name] for name in ("request_id", "usage_id", "number", "account_id", "product_id", "currency")},
        id=document["_id"],
        old=tuple(_part(part) for part in document["old"]),
        new=tuple(_part(part) for part in document["new"]),
        postings=tuple(ChargePosting(**_numbers(posting)) for posting in document["postings"]),
        allowances=tuple(AllowanceUse(**_numbers(use)) for use in document["allowances"]),
        rerated_at=document["rerated_at"],
    )


def _part(document: Document) -> RatedPart:
    return RatedPart(**_numbers(document))


def _numbers(document: Document) -> Document:
    return {name: int(value) if name in _LARGE else Decimal(value) if name in _QUANTITIES else value for name, value in document.items()}

"""Documents of usages as they were published."""

from datetime import datetime

from libs.contracts import AllowanceUse, RatedPart, RejectionReason, UsageRated, UsageReceived, UsageRejected
from libs.pricing.intake import NumberReader
from services.rating.documents import Document, rejected_document, stored_number, suspense_document


def received_usage_of(rated: UsageRated) -> UsageReceived:
    """Return the usage that was rated."""
    return UsageReceived(**{field: getattr(rated, field) for field in UsageReceived.__struct_fields__})


def parts_of(rated: UsageRated) -> tuple[RatedPart, ...]:
    """Return what each charge counts of a usage; one part where it was not split."""
    if rated.parts:
        return rated.parts
    return (
        RatedPart(
            price_id=rated.price_id,
            charge_id=rated.charge_id,
            charged_quantity=rated.charged_quantity,
            numerator=rated.numerator,
            denominator=rated.denominator,
            rate_book=rated.rate_book,
        ),
    )


def rated_usage_document(rated: UsageRated) -> Document:
    """Return the document of a rated usage."""
    document: Document = {
        "_id": rated.id,
        "identifier": rated.identifier,
        "usage_type": rated.usage_type,
        "started_at": rated.started_at,
        "quantity": stored_number(rated.quantity),
        "unit": rated.unit,
        "called_number": rated.called_number,
        "account_id": rated.account_id,
        "product_id": rated.product_id,
        "price_id": rated.price_id,
        "charge_id": rated.charge_id,
        "charged_quantity": stored_number(rated.charged_quantity),
        "numerator": stored_number(rated.numerator),
        "denominator": stored_number(rated.denominator),
        "currency": rated.currency,
        "rate_book": rated.rate_book,
    }
    if rated.characteristics:
        document["characteristics"] = rated.characteristics
    if rated.parts:
        document["parts"] = [_part(part) for part in rated.parts]
    if rated.allowances:
        document["allowances"] = [_use(use) for use in rated.allowances]
    return document


def rejected_documents(rejected: UsageRejected, at: datetime, numbers: NumberReader) -> tuple[Document | None, Document | None]:
    """Return the usage and the entry of the work list of a usage that was not rated.

    What cannot be read is read again with its body. A usage whose id was taken has an entry and no document of its own.
    """
    if rejected.usage is None:
        return None, None
    entry = suspense_document(rejected, at, numbers)
    return (None if rejected.reason is RejectionReason.DUPLICATE_ID else rejected_document(rejected)), entry


def _part(part: RatedPart) -> Document:
    return {
        "price_id": part.price_id,
        "charge_id": part.charge_id,
        "charged_quantity": stored_number(part.charged_quantity),
        "numerator": stored_number(part.numerator),
        "denominator": stored_number(part.denominator),
        "rate_book": part.rate_book,
    }


def _use(use: AllowanceUse) -> Document:
    return {
        "allowance_id": use.allowance_id,
        "bucket_id": use.bucket_id,
        "quantity": stored_number(use.quantity),
        "denominator": stored_number(use.denominator),
    }

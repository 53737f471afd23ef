"""Documents of the hot path, built as plain dicts: a thousand of them per transaction leave no time for models.

Numbers stay exact: whole ones as 64-bit integers, others as Decimal128, and what fits neither as text.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from bson.errors import BSONError

from libs.contracts import AllowanceUse, RatedPart, UsageRated, UsageReceived, UsageRejected
from libs.pricing import PricedUsage
from libs.pricing.intake import NumberReader
from libs.runtime.exact_numbers import decimal128
from services.rating.domain.accumulation import Increment
from services.rating.domain.counted import Counted, tiers_after
from services.rating.domain.deciding import Earlier, Rated, UsageCharge, total_numerator

INT64_MAX = 2**63 - 1
# What a rated usage has besides what was received, but for the numbers.
RATED_FIELDS = ("account_id", "product_id", "price_id", "charge_id", "currency", "rate_book")
# Stored in the form by which a usage is guided and priced; `received` has them as they came where that is another.
NUMBERS = ("identifier", "called_number")
Document = dict[str, Any]


def stored_number(value: int | Decimal) -> int | Decimal128:
    """Return an integer where the number is one: it is written and read much faster."""
    whole = int(value)
    return whole if whole == value and -INT64_MAX <= whole <= INT64_MAX else decimal128(value)


def _integer(value: int) -> int | Decimal128:
    return value if -INT64_MAX <= value <= INT64_MAX else decimal128(value)


def _any_number(value: Decimal) -> int | Decimal128 | str:
    # Rejected usages keep whatever was sent, 10^30 digits included.
    if value.adjusted() > 30:
        return str(value)
    try:
        return stored_number(value)
    except (ArithmeticError, BSONError):
        return str(value)


def received_fields(usage: UsageReceived, quantity: int | Decimal128 | str) -> Document:
    """The usage as it was received."""
    document: Document = {
        "_id": usage.id,
        "identifier": usage.identifier,
        "usage_type": usage.usage_type,
        "started_at": usage.started_at,
        "quantity": quantity,
        "unit": usage.unit,
    }
    if usage.called_number is not None:
        document["called_number"] = usage.called_number
    if usage.characteristics:
        document["characteristics"] = usage.characteristics
    return document


def rated_document(rated: Rated) -> Document:
    """A usage with its price and the charge that counts it."""
    usage, charge, priced, price = rated.usage, rated.charge, rated.priced, rated.charge.price
    quantity = stored_number(usage.quantity)
    # In one go, for a dictionary that grows is built several times.
    document: Document = {
        "_id": usage.id,
        "identifier": usage.identifier,
        "usage_type": usage.usage_type,
        "started_at": usage.started_at,
        "quantity": quantity,
        "unit": usage.unit,
        "called_number": usage.called_number,
        "account_id": charge.account.id,
        "product_id": charge.product.id,
        "price_id": price.price_id,
        "charge_id": charge.id,
        "charged_quantity": quantity if priced.charged_quantity == usage.quantity else stored_number(priced.charged_quantity),
        "numerator": _integer(priced.numerator),
        "denominator": _integer(price.denominator),
        "currency": price.currency,
        "rate_book": price.rate_book,
    }
    if usage.characteristics:
        document["characteristics"] = usage.characteristics
    if rated.others:
        document["numerator"] = _integer(total_numerator(priced))
        document["parts"] = [_part_document(*part) for part in rated.parts]
    if rated.received is not None:
        document["received"] = _as_received(rated.received, usage)
    if rated.allowances:
        document["allowances"] = [_use_document(use) for use in rated.allowances]
    return document


def _as_received(received: UsageReceived, usage: UsageReceived) -> Document:
    """The numbers of a usage that were received otherwise than it was guided and priced by."""
    return {name: getattr(received, name) for name in NUMBERS if getattr(received, name) != getattr(usage, name)}


def _part_document(charge: UsageCharge, priced: PricedUsage) -> Document:
    return {
        "price_id": priced.price_id,
        "charge_id": charge.id,
        "charged_quantity": stored_number(priced.charged_quantity),
        "numerator": _integer(priced.numerator),
        "denominator": _integer(priced.denominator),
        "rate_book": priced.rate_book,
    }


def _use_document(use: AllowanceUse) -> Document:
    return {
        "allowance_id": use.allowance_id,
        "bucket_id": use.bucket_id,
        "quantity": stored_number(use.quantity),
        "denominator": _integer(use.denominator),
    }


def rejected_document(rejected: UsageRejected) -> Document:
    """A usage that waits in suspense."""
    usage = rejected.usage
    assert usage is not None, "only a usage that can be read has a document"
    document = received_fields(usage, _any_number(usage.quantity))
    document["suspense_id"] = rejected.suspense_id
    document["reason"] = str(rejected.reason)
    document["detail"] = rejected.detail
    if rejected.waits_for:
        document["waits_for"] = list(rejected.waits_for)
    return document


def suspense_document(rejected: UsageRejected, at: datetime, numbers: NumberReader, body: str | None = None) -> Document:
    """Return an entry of the work list; `body` is the message as it came, base64, when it could not be read."""
    usage = rejected.usage
    waiting = {"waits_for": list(rejected.waits_for)} if rejected.waits_for else {}
    return {
        "_id": rejected.suspense_id,
        "usage_id": rejected.usage_id,
        "reason": str(rejected.reason),
        "detail": rejected.detail,
        "usage": None if usage is None else received_fields(usage, _any_number(usage.quantity)),
        "body": body,
        "state": "open",
        "suspended_at": at,
        **waiting,
        **suspended_number(rejected, numbers),
    }


def suspended_number(rejected: UsageRejected, numbers: NumberReader) -> Document:
    """Return the field of an entry with the identifier in E.164; empty where it was received so, or is no number.

    Products hold numbers in E.164, and what waits of a product is found by what it holds.
    """
    if rejected.usage is None:
        return {}
    number = numbers.identifier(rejected.usage.identifier)
    return {} if number == rejected.usage.identifier else {"number": number}


def received_usage(document: Document) -> UsageReceived:
    """The usage as it was received, from any of these documents."""
    return priced_usage({**document, **document["received"]} if "received" in document else document)


def priced_usage(document: Document) -> UsageReceived:
    """The usage with the numbers that it was guided and priced by."""
    return UsageReceived(
        id=document["_id"],
        identifier=document["identifier"],
        usage_type=document["usage_type"],
        started_at=document["started_at"],
        quantity=_decimal(document["quantity"]),
        unit=document["unit"],
        called_number=document.get("called_number"),
        characteristics=document.get("characteristics", {}),
    )


def earlier_answer(document: Document) -> Earlier:
    """Return the answer to a stored usage."""
    usage = received_usage(document)
    if "suspense_id" in document:
        rejected = UsageRejected(
            suspense_id=document["suspense_id"],
            usage_id=usage.id,
            reason=document["reason"],
            detail=document["detail"],
            usage=usage,
            waits_for=tuple(document.get("waits_for", ())),
        )
        return Earlier(usage, rejected)
    priced = priced_usage(document)
    rated = UsageRated(
        **{field: getattr(priced, field) for field in priced.__struct_fields__},
        **{field: document[field] for field in RATED_FIELDS},
        **_amount(document),
        parts=tuple(RatedPart(**{**part, **_amount(part)}) for part in document.get("parts", ())),
        allowances=tuple(_use(use) for use in document.get("allowances", ())),
    )
    return Earlier(usage, rated)


def _amount(document: Document) -> Document:
    """The numbers of a rated usage or of a part of it, as its fact has them."""
    return {
        "charged_quantity": _decimal(document["charged_quantity"]),
        "numerator": int(_decimal(document["numerator"])),
        "denominator": int(_decimal(document["denominator"])),
    }


def _use(use: Document) -> AllowanceUse:
    return AllowanceUse(**{**use, "quantity": _decimal(use["quantity"]), "denominator": int(_decimal(use["denominator"]))})


def _decimal(stored: int | Decimal | Decimal128 | str) -> Decimal:
    return stored.to_decimal() if isinstance(stored, Decimal128) else Decimal(stored)


def charge_update(increment: Increment, at: datetime) -> Document:
    """Return the update that adds a batch's usages to an existing charge."""
    added: Document = {f"sums.{denominator}": decimal128(numerator) for denominator, numerator in increment.sums.items()}
    added["usage_count"] = increment.usage_count
    added["seal"] = 0
    added["quantity"] = decimal128(increment.quantity)
    return {"$inc": added, "$set": {"updated_at": at}}


def opened_charge(id: str, increment: Increment, at: datetime, before: Counted) -> Document:
    """A new charge with its first usages; `before` is what earlier sequences of its month counted of its tiers."""
    charge, price = increment.charge, increment.charge.price
    document: Document = {
        "_id": id,
        "account_id": charge.account.id,
        "product_id": charge.product.id,
        "product_name": charge.product.name,
        "offering_id": charge.product.offering_id,
        "price_id": price.price_id,
        "kind": "usage",
        "state": "open",
        "seal": 0,
        "description": price.description,
        "usage_type": price.usage_type,
        "unit": price.unit,
        "currency": price.currency,
        "tax_category": price.tax_category,
        "period": {"start": charge.month.start, "end": charge.month.end},
        "sequence": charge.sequence,
        "usage_count": increment.usage_count,
        "quantity": decimal128(increment.quantity),
        "sums": {str(denominator): decimal128(numerator) for denominator, numerator in increment.sums.items()},
        "opened_at": at,
        "updated_at": at,
    }
    if price.tiers is not None:
        document["tiers"] = tiers_after(price.tiers, before).model_dump()
    if price.is_tax_included:
        document["is_tax_included"] = True
    if price.line_rounding is not None:
        document["line_rounding"] = price.line_rounding.model_dump(mode="json")
    return document

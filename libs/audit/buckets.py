"""Every bucket of an allowance beside the usages that drew from it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from fractions import Fraction

from libs.audit.alignment import align
from libs.audit.domain.allowances import Consumed, amount_of, check_bucket
from libs.audit.findings import Findings
from libs.audit.reader import Pipeline, Reader


async def audit_buckets(reader: Reader, findings: Findings) -> None:
    """Add up again what was drawn."""
    async for bucket_id, (buckets, uses) in align(_buckets(reader), _uses(reader)):
        findings.checked["buckets"] += len(buckets)
        findings.add(*check_bucket(bucket_id, buckets, uses), key=bucket_id)


async def _buckets(reader: Reader) -> AsyncIterator[tuple[str, Consumed]]:
    # Counts beyond 64 bits are texts.
    fields = ("denominator", "used", "used_later")
    async for bucket in reader.find("rating", "buckets", reader.among("_id"), fields=fields, sort="_id"):
        yield bucket["_id"], Consumed(Fraction(int(bucket["used"]) + int(bucket["used_later"]), int(bucket["denominator"])))


async def _uses(reader: Reader) -> AsyncIterator[tuple[str, Consumed]]:
    pipeline: Pipeline = [
        {"$match": {"allowances": {"$exists": True}, **reader.among("allowances.bucket_id")}},
        {"$unwind": "$allowances"},
        {"$match": reader.among("allowances.bucket_id")},
        {"$replaceWith": "$allowances"},
        {
            "$group": {
                "_id": {"bucket": "$bucket_id", "denominator": {"$toDecimal": "$denominator"}},
                "quantity": {"$sum": {"$toDecimal": "$quantity"}},
            }
        },
        {"$sort": {"_id.bucket": 1}},
    ]
    async for drawn in reader.aggregate("rating", "usage", pipeline):
        quantity: Decimal = drawn["quantity"]
        yield drawn["_id"]["bucket"], Consumed(amount_of({"quantity": quantity, "denominator": drawn["_id"]["denominator"]}))

"""Every charge beside its usages, the line of its cut and the line of its bill."""

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal

from libs.audit.alignment import align
from libs.audit.causes import last_runs
from libs.audit.domain.charges import (
    NOTHING_COUNTED,
    BilledLine,
    Closing,
    CutLine,
    Recount,
    check_amount,
    check_amounts_together,
    check_bill_lines,
    check_closed_account,
    check_cut,
    check_usages,
    missing_charge,
)
from libs.audit.domain.difference import Difference
from libs.audit.findings import Findings
from libs.audit.reader import Pipeline, Reader
from libs.contracts import UNBILLED, AccountState, BillLine, Charge, ChargeLine, ChargeState
from libs.money import sum_exactly
from libs.runtime import from_document

# Whose cuts are read at once.
ACCOUNTS_AT_A_TIME = 1_000


async def audit_charges(reader: Reader, findings: Findings) -> None:
    """Walk the charges of rating with everything that refers to them."""
    async for charge_id, (charges, whole, in_parts, rerated, cut_lines, bill_lines) in align(
        _charges(reader),
        _recounts(reader, "usage", _whole_usages(reader)),
        _recounts(reader, "usage", _parts_of_usages(reader)),
        _recounts(reader, "reratings", _postings(reader)),
        _cut_lines(reader),
        _bill_lines(reader),
    ):
        recounts = [*whole, *in_parts, *rerated]
        if not charges:
            findings.add(missing_charge(charge_id, recounts, cut_lines, bill_lines), key=charge_id)
            continue
        charge = charges[0]
        findings.checked["charges"] += 1
        findings.add(
            *check_usages(charge, _added(recounts)),
            *check_amount(charge),
            *check_cut(charge, cut_lines),
            *check_bill_lines(charge, bill_lines),
            key=charge_id,
        )


async def audit_amounts_together(reader: Reader, findings: Findings) -> None:
    """Recompute the amounts of charges whose books round the sum of a bill's lines, account by account."""
    rounded_together = {"line_rounding.point": "bill", "state": {"$ne": ChargeState.OPEN.value}}
    of_account: dict[str, dict[str, Charge]] = {}
    async for document in reader.find("rating", "charges", rounded_together, sort="account_id"):
        charge = from_document(Charge, document)
        findings.checked["charges rounded together"] += 1
        if charge.account_id not in of_account and len(of_account) == ACCOUNTS_AT_A_TIME:
            findings.add(*await _check_together(reader, of_account))
            of_account = {}
        of_account.setdefault(charge.account_id, {})[charge.id] = charge
    findings.add(*await _check_together(reader, of_account))


async def _check_together(reader: Reader, of_account: Mapping[str, Mapping[str, Charge]]) -> list[Difference]:
    if not of_account:
        return []
    cuts: dict[str, list[list[str]]] = {}
    query = {"account_id": {"$in": list(of_account)}}
    async for cut in reader.find("rating", "cuts", query, fields=("account_id", "lines.charge_id"), sort="closed_at"):
        cuts.setdefault(cut["account_id"], []).append([line["charge_id"] for line in cut["lines"]])
    return [each for id, charges in of_account.items() for each in check_amounts_together(charges, cuts.get(id, ()))]


async def audit_closed_accounts(reader: Reader, findings: Findings) -> None:
    """Look for charges of closed accounts that no run will bill any more."""
    run = await last_runs(reader)
    async for _, (closings, charge_ids) in align(_closings(reader), _unbilled(reader)):
        findings.checked["closed accounts"] += len(closings)
        for closing in closings:
            findings.add(*check_closed_account(closing, run.get(closing.cycle), charge_ids))


async def _closings(reader: Reader) -> AsyncIterator[tuple[str, Closing]]:
    fields = ("cycle", "closed_at")
    async for account in reader.find("operations", "accounts", {"state": AccountState.CLOSED.value}, fields=fields, sort="_id"):
        yield account["_id"], Closing(account["_id"], account["cycle"], account.get("closed_at"))


async def _unbilled(reader: Reader) -> AsyncIterator[tuple[str, str]]:
    async for charge in reader.find("rating", "charges", {"state": {"$in": UNBILLED}}, fields=("account_id",), sort="account_id"):
        yield charge["account_id"], charge["_id"]


async def _charges(reader: Reader) -> AsyncIterator[tuple[str, Charge]]:
    async for document in reader.find("rating", "charges", reader.among("_id"), sort="_id"):
        yield document["_id"], from_document(Charge, document)


async def _recounts(reader: Reader, collection: str, pipeline: Pipeline) -> AsyncIterator[tuple[str, Recount]]:
    async for document in reader.aggregate("rating", collection, pipeline):
        sums = {str(document["_id"]["denominator"]): document["numerator"]}
        yield document["_id"]["charge"], Recount(document["usage_count"], document["quantity"], sums)


async def _cut_lines(reader: Reader) -> AsyncIterator[tuple[str, CutLine]]:
    async for document in reader.aggregate("rating", "cuts", _lines_by_charge(reader)):
        line = ChargeLine.model_validate(document["lines"])
        yield line.charge_id, CutLine(document["_id"], line, "returned_at" in document)


async def _bill_lines(reader: Reader) -> AsyncIterator[tuple[str, BilledLine]]:
    async for document in reader.aggregate("invoicing", "bills", _lines_by_charge(reader)):
        line = BillLine.model_validate(document["lines"])
        yield line.charge_id, BilledLine(document["_id"], line, line.taxes)


def _lines_by_charge(reader: Reader) -> Pipeline:
    wanted = {"$match": reader.among("lines.charge_id")}
    project = {"$project": {"lines": 1, "returned_at": 1}}
    return [wanted, project, {"$unwind": "$lines"}, wanted, {"$sort": {"lines.charge_id": 1}}]


_ADDED = {
    "numerator": {"$sum": {"$toDecimal": "$numerator"}},
    "quantity": {"$sum": {"$toDecimal": "$charged_quantity"}},
    "usage_count": {"$sum": 1},
}


def _whole_usages(reader: Reader) -> Pipeline:
    return [
        {"$match": {"charge_id": {"$exists": True}, "parts": {"$exists": False}, **reader.among("charge_id")}},
        {"$group": {"_id": {"charge": "$charge_id", "denominator": "$denominator"}, **_ADDED}},
        {"$sort": {"_id.charge": 1}},
    ]


# A usage with several parts in one charge counts once: their denominators are the same.
def _parts_of_usages(reader: Reader) -> Pipeline:
    return [
        {"$match": {"parts": {"$exists": True}, **reader.among("parts.charge_id")}},
        {"$unwind": "$parts"},
        {"$match": reader.among("parts.charge_id")},
        {"$replaceWith": {"$mergeObjects": ["$parts", {"usage": "$_id"}]}},
        {"$group": {"_id": {"charge": "$charge_id", "denominator": "$denominator", "usage": "$usage"}, **_ADDED}},
        {
            "$group": {
                "_id": {"charge": "$_id.charge", "denominator": "$_id.denominator"},
                "numerator": {"$sum": "$numerator"},
                "quantity": {"$sum": "$quantity"},
                "usage_count": {"$sum": 1},
            }
        },
        {"$sort": {"_id.charge": 1}},
    ]


# What re-rating moved from charge to charge.
def _postings(reader: Reader) -> Pipeline:
    return [
        {"$match": reader.among("postings.charge_id")},
        {"$unwind": "$postings"},
        {"$match": reader.among("postings.charge_id")},
        {"$replaceWith": "$postings"},
        {
            "$group": {
                "_id": {"charge": "$charge_id", "denominator": {"$toDecimal": "$denominator"}},
                "numerator": {"$sum": {"$toDecimal": "$numerator"}},
                "quantity": {"$sum": {"$toDecimal": "$quantity"}},
                "usage_count": {"$sum": "$usage_count"},
            }
        },
        {"$sort": {"_id.charge": 1}},
    ]


def _added(parts: Sequence[Recount]) -> Recount:
    """Return the sums of one charge per denominator: whole usages, parts of split ones and postings of re-rating."""
    if not parts:
        return NOTHING_COUNTED
    sums: dict[str, list[Decimal]] = {}
    for part in parts:
        for denominator, numerator in part.sums.items():
            sums.setdefault(denominator, []).append(numerator)
    return Recount(
        sum(part.usage_count for part in parts),
        sum_exactly(part.quantity for part in parts),
        {denominator: sum_exactly(numerators) for denominator, numerators in sums.items()},
    )

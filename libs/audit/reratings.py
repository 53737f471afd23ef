"""Every re-rating beside the usage that it gives another price, and what stands of each usage priced again."""

from collections.abc import AsyncIterator

from libs.audit.domain.reratings import check_reratings
from libs.audit.domain.standing import NotPriced, Standing, check_standing
from libs.audit.findings import Findings
from libs.audit.known_terms import KnownTerms
from libs.audit.reader import Document, Pipeline, Reader
from libs.pricing import RateBooks
from libs.pricing.books_alone import each_alone

SLICE = 1_000


async def audit_reratings(books: RateBooks, reader: Reader, findings: Findings) -> None:
    """Follow each usage from how it was rated to what stands of it. Nothing of both ever changes.

    Where nobody can tell any more what a usage costs, it is counted apart and not compared.
    """
    known, alone = KnownTerms(reader), each_alone(books)
    async for of_usages in _slices(reader):
        ids = list(of_usages)
        usages = {usage["_id"]: usage async for usage in reader.find("rating", "usage", {"_id": {"$in": ids}})}
        for usage_id, reratings in of_usages.items():
            findings.checked["re-ratings"] += len(reratings)
            findings.add(*check_reratings(usage_id, [usages[usage_id]] if usage_id in usages else [], reratings), key=usage_id)
        last = [(usages[id], reratings[-1]) for id, reratings in of_usages.items() if "charge_id" in usages.get(id, ())]
        await known.learn([*(usage["charge_id"] for usage, _ in last), *(_charge_id(rerating) for _, rerating in last)])
        for usage, rerating in last:
            standing = Standing(usage, rerating, known.of(usage["charge_id"]), known.of(_charge_id(rerating)))
            found = check_standing(standing, books, alone)
            if isinstance(found, NotPriced):
                findings.checked[found] += 1
            else:
                findings.add(*found, key=usage["_id"])


def _charge_id(rerating: Document) -> str:
    """The charge that tells by which offering the new price was found."""
    return rerating["new"][0]["charge_id"]


async def _slices(reader: Reader) -> AsyncIterator[dict[str, list[Document]]]:
    """The re-ratings of some usages at a time, all of each usage together and in their order."""
    of_usages: dict[str, list[Document]] = {}
    pipeline: Pipeline = [{"$match": reader.among("usage_id")}, {"$sort": {"usage_id": 1, "number": 1}}]
    async for rerating in reader.aggregate("rating", "reratings", pipeline):
        if len(of_usages) == SLICE and rerating["usage_id"] not in of_usages:
            yield of_usages
            of_usages = {}
        of_usages.setdefault(rerating["usage_id"], []).append(rerating)
    if of_usages:
        yield of_usages

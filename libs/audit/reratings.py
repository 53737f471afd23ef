"""Every re-rating beside the usage that it gives another price."""

from collections.abc import AsyncIterator

from libs.audit.domain.reratings import check_reratings
from libs.audit.findings import Findings
from libs.audit.reader import Document, Pipeline, Reader

SLICE = 1_000


async def audit_reratings(reader: Reader, findings: Findings) -> None:
    """Follow each usage from how it was rated to what stands of it. Nothing of both ever changes, so no snapshot is needed."""
    async for of_usages in _slices(reader):
        ids = list(of_usages)
        usages = {usage["_id"]: usage async for usage in reader.find("rating", "usage", {"_id": {"$in": ids}})}
        for usage_id, reratings in of_usages.items():
            findings.checked["re-ratings"] += len(reratings)
            findings.add(*check_reratings(usage_id, [usages[usage_id]] if usage_id in usages else [], reratings))


async def _slices(reader: Reader) -> AsyncIterator[dict[str, list[Document]]]:
    """The re-ratings of some usages at a time, all of each usage together and in their order."""
    of_usages: dict[str, list[Document]] = {}
    pipeline: Pipeline = [{"$sort": {"usage_id": 1, "number": 1}}]
    async for rerating in reader.aggregate("rating", "reratings", pipeline):
        if len(of_usages) == SLICE and rerating["usage_id"] not in of_usages:
            yield of_usages
            of_usages = {}
        of_usages.setdefault(rerating["usage_id"], []).append(rerating)
    if of_usages:
        yield of_usages

"""Thresholds that were reached: `crossings`, one document for each, inserted once and told by whoever inserted it.

Months are looked at once the batch is stored. Of two workers that add to one month at the same time, neither transaction sees what
the other adds; but who comes last sees both, so nothing that is reached stays unnoticed.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import Charge, ChargeKind, ThresholdCrossed
from libs.runtime import Index, from_document, to_document
from services.rating.collisions import collisions
from services.rating.domain.crossing import Watch
from services.rating.store import NEWEST_FIRST

INDEXES = (Index("crossings", (("usage_id", 1),), "usage that comes again: what was told when it came first"),)
CHARGES_OF_A_PRODUCT = [("product_id", 1), *NEWEST_FIRST]
OF_USAGE = [ChargeKind.USAGE.value, ChargeKind.ADJUSTMENT.value]
# For whoever lowered the tolerance since.
TOLERATED_ONCE = timedelta(days=1)


class CrossingStore:
    """The collection `crossings`, and what `charges` say of the months that are watched."""

    def __init__(self, store: AsyncDatabase, early_max: timedelta) -> None:
        """Usage is `early_max` ahead of our clock at most."""
        self._crossings = store["crossings"]
        self._charges = store["charges"]
        self._early_max = early_max + TOLERATED_ONCE

    async def charges_of(self, watched: Sequence[Watch]) -> list[Charge]:
        """The charges of the usage of these months, with what re-rating corrected."""
        product_ids: dict[datetime, set[str]] = {}
        for watch in watched:
            product_ids.setdefault(watch.month.start, set()).add(watch.product.id)
        return [charge for start, ids in sorted(product_ids.items()) for charge in await self._charges_of_month(start, ids)]

    async def _charges_of_month(self, start: datetime, product_ids: Collection[str]) -> list[Charge]:
        # Month by month: one usage that is years late must not make every product's charges of those years be read.
        query = {
            "product_id": {"$in": sorted(product_ids)},
            # No charge is opened before its month, so that the index leads past those of earlier ones.
            "opened_at": {"$gte": start - self._early_max},
            "kind": {"$in": OF_USAGE},
            "period.start": start,
        }
        return [from_document(Charge, document) for document in await self._charges.find(query).hint(CHARGES_OF_A_PRODUCT).to_list()]

    async def tell(self, reached: Sequence[ThresholdCrossed], repeated_ids: Collection[str]) -> list[ThresholdCrossed]:
        """What is to be told: what nobody told of before, and what was told when the repeated usages came first.

        Raises Collision when somebody else told of one in between; what was new is stored then, under the same usages.
        """
        known = await self._find([crossing.id for crossing in reached], repeated_ids)
        missing = [crossing for crossing in reached if crossing.id not in known]
        if missing:
            with collisions():
                await self._crossings.insert_many([to_document(crossing) for crossing in missing], ordered=False)
        told_by = {*repeated_ids, *(crossing.usage_id for crossing in reached)}
        return [*(crossing for crossing in known.values() if crossing.usage_id in told_by), *missing]

    async def _find(self, ids: Sequence[str], usage_ids: Collection[str]) -> dict[str, ThresholdCrossed]:
        if not ids and not usage_ids:
            return {}
        wanted = [{"_id": {"$in": ids}}]
        if usage_ids:
            wanted.append({"usage_id": {"$in": list(usage_ids)}})
        found = await self._crossings.find({"$or": wanted}).to_list()
        return {document["_id"]: from_document(ThresholdCrossed, document) for document in found}

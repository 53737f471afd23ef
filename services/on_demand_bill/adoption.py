"""Adopting requests for bills on demand: after a restore those that had ended since stay as they ended.

Requests that were still running are read again from Kafka and ask for the same cut.
"""

from pymongo import ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import OnDemandBillCompleted, OnDemandBillRequested, OnDemandState
from libs.runtime import to_document
from libs.runtime.adoption import Adopted, insert_missing
from libs.runtime.published import Published, PublishedReader
from services.on_demand_bill.domain.on_demand_request import OnDemandRequest, adopt_end


class RequestAdoption:
    """Writes requests with the ends that they were told."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._requests = database["requests"]

    async def adopt(self, published: PublishedReader, adopted: Adopted) -> None:
        """Take over the requests that were completed since the backup."""
        async for requested in published.read(OnDemandBillRequested):
            accepted = [_accepted(request) for request in requested]
            await insert_missing(self._requests, [to_document(request) for request in accepted], adopted, "on-demand requests")
        async for completed in published.read(OnDemandBillCompleted):
            await self._end([completion.fact for completion in completed])

    async def _end(self, completions: list[OnDemandBillCompleted]) -> None:
        wanted = {"$in": list({completion.id for completion in completions})}
        known = {document["_id"]: document["requested_at"] async for document in self._requests.find({"_id": wanted}, {"requested_at": 1})}
        # A bill is the last word about its request, and comes last.
        ended = sorted(
            (adopt_end(completion, known.get(completion.id, completion.completed_at)) for completion in completions),
            key=lambda request: request.state is OnDemandState.DONE,
        )
        replacements = [
            ReplaceOne({"_id": request.id, "state": {"$ne": OnDemandState.DONE}}, to_document(request))
            for request in ended
            if request.id in known
        ]
        if replacements:
            await self._requests.bulk_write(replacements)


def _accepted(requested: Published[OnDemandBillRequested]) -> OnDemandRequest:
    request = requested.fact
    return OnDemandRequest(id=request.id, account_id=request.account_id, requested_at=request.requested_at, received_at=requested.at)

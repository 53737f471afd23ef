"""`python -m libs.bench.rating_floor`: what the same messages cost without rating them.

It fetches batches of the same size, inserts the bytes as they came in one transaction, publishes them and commits, all
with the runtime that rating uses. No decoding, no pricing, no charges: the floor that rating is held against.
"""

import asyncio
from collections.abc import Sequence

import uvloop
from aiokafka import ConsumerRecord
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession

from libs.contracts import UsageRated, UsageReceived
from libs.runtime import RuntimeSettings, in_transaction
from libs.runtime.broker import feed, new_broker
from libs.runtime.consumers import ConsumerLog
from libs.runtime.mongo import connect, database
from libs.runtime.publisher import FactPublisher

NAME = "rating_floor"
GROUP = f"{NAME}.copy"


class FloorSettings(RuntimeSettings):
    """The batch size of rating."""

    rating_batch_size: int


class RawCopies:
    """Takes records from the broker in place of the subscription of a handler."""

    def __init__(self, settings: FloorSettings, client: AsyncMongoClient, publisher: FactPublisher) -> None:
        self._client = client
        self._copies = database(client, settings, NAME)["usage"]
        self._publisher = publisher
        self._topic = settings.topic(UsageRated.topic)

    async def consume(self, records: Sequence[ConsumerRecord]) -> None:
        """Insert, publish; returning commits."""
        copies = [{"_id": f"{record.partition}:{record.offset}", "body": record.value} for record in records]

        async def insert(session: AsyncClientSession) -> None:
            await self._copies.insert_many(copies, ordered=False, session=session)

        await in_transaction(self._client, insert)
        await self._publisher.publish_all_raw(self._topic, [(record.key, record.value) for record in records])


async def copy(settings: FloorSettings) -> None:
    """Consume until the process is ended."""
    client, publisher, broker = connect(settings), FactPublisher(NAME, settings), new_broker(settings, ConsumerLog())
    copies = RawCopies(settings, client, publisher)
    topics = [settings.topic(UsageReceived.topic)]
    feed(broker, settings, copies.consume, topics, group=settings.topic(GROUP), batch_size=settings.rating_batch_size)
    await publisher.start()
    await broker.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(copy(FloorSettings()))

"""Restoring a backup: all databases and the offsets of all groups, so that each service can adopt what it had published since.

Each database is marked as unfinished first and as restored last, and no service starts on one that is unfinished.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient

from libs.backup.collection_file import read_documents
from libs.backup.errors import BackupError
from libs.backup.manifest import CollectionCopy, GroupPosition, Manifest, Position
from libs.backup.positions import KafkaPositions, by_partition, kafka_positions
from libs.backup.take import Progress
from libs.backup.verify import verify
from libs.contracts import all_facts
from libs.contracts.retention import Retention, retention_of
from libs.runtime.adoption import RESTORES, RestoreState
from libs.runtime.lag import SERVICES
from libs.runtime.mongo import connect
from libs.runtime.settings import RuntimeSettings
from libs.runtime.topics import create_topics

# Topics of which nobody misses what was deleted.
TRANSIENT = frozenset(fact.topic for fact in all_facts() if retention_of(fact) is Retention.TRANSIENT)
INSERTED_AT_A_TIME = 1_000
_RAW: CodecOptions = CodecOptions(document_class=RawBSONDocument)


@dataclass(frozen=True)
class Restored:
    """What was restored, and which messages Kafka no longer holds for the groups, in words."""

    document_count: int
    lost: tuple[str, ...]


async def restore(
    settings: RuntimeSettings, directory: Path, manifest: Manifest, progress: Progress, *, key: bytes | None = None, overwrite: bool = False
) -> Restored:
    """Put everything back as it was. Raises BackupError when services run, or when there is data and not `overwrite`."""
    client = connect(settings)
    try:
        await create_topics(settings)
        async with kafka_positions(settings) as positions:
            await _refuse_running(positions)
            if not overwrite:
                await _refuse_data(client, settings)
            progress.begin("documents verified", manifest.document_count)
            await asyncio.to_thread(verify, directory, manifest, key, progress.advance)
            await _empty(client, settings, manifest)
            progress.begin("documents restored", manifest.document_count)
            for copy in manifest.collections:
                await _restore_one(client, settings, directory, copy, key, progress)
            lost = await _set_back(positions, manifest)
            await _mark(client, settings, manifest, RestoreState.RESTORED)
            return Restored(manifest.document_count, tuple(lost))
    finally:
        await client.close()


async def _refuse_running(positions: KafkaPositions) -> None:
    running = await positions.running_groups()
    if running:
        services = sorted({group.partition(".")[0] for group in running})
        raise BackupError(
            f"{', '.join(services)} still consume",
            "stop all services (`tarifa down`, then `tarifa up --infrastructure-only`) and try again",
        )


async def _refuse_data(client: AsyncMongoClient, settings: RuntimeSettings) -> None:
    there = set(await client.list_database_names())
    for service in SERVICES:
        if settings.database(service) in there:
            problem = f"database {settings.database(service)} exists already"
            raise BackupError(problem, "restore into it with --overwrite: what it has is dropped")


async def _empty(client: AsyncMongoClient, settings: RuntimeSettings, manifest: Manifest) -> None:
    for service in SERVICES:
        await client.drop_database(settings.database(service))
    await _mark(client, settings, manifest, RestoreState.RESTORING)


async def _mark(client: AsyncMongoClient, settings: RuntimeSettings, manifest: Manifest, state: RestoreState) -> None:
    mark = {
        "state": state,
        "taken_at": manifest.taken_at,
        "restored_at": datetime.now(UTC),
        "ends": [position.model_dump() for position in manifest.ends],
    }
    for service in SERVICES:
        await client[settings.database(service)][RESTORES].replace_one({"_id": manifest.id}, mark, upsert=True)


async def _restore_one(
    client: AsyncMongoClient, settings: RuntimeSettings, directory: Path, copy: CollectionCopy, key: bytes | None, progress: Progress
) -> None:
    if copy.collection == RESTORES:
        return
    store = client.get_database(settings.database(copy.service), codec_options=_RAW)[copy.collection]
    documents = read_documents(directory / copy.file, copy.file, key)
    while some := await asyncio.to_thread(_next, documents):
        await store.insert_many(some, ordered=False)
        progress.advance(len(some))


def _next(documents: Iterable[bytes]) -> list[RawBSONDocument]:
    return [RawBSONDocument(document, _RAW) for document in islice(documents, INSERTED_AT_A_TIME)]


async def _set_back(positions: KafkaPositions, manifest: Manifest) -> list[str]:
    starts, ends = by_partition(await positions.starts()), by_partition(await positions.ends())
    groups = await positions.groups()
    set_back, lost = groups_set_back(manifest.groups, groups, starts, ends)
    await positions.set_groups(set_back)
    return lost


def groups_set_back(
    saved: Sequence[GroupPosition],
    present: Sequence[GroupPosition],
    starts: dict[tuple[str, int], int],
    ends: dict[tuple[str, int], int],
) -> tuple[list[GroupPosition], list[str]]:
    """Where each group goes on, and what it cannot read any more.

    A group that had committed nothing in a partition reads it from its beginning. So does each group of a partition that ends
    before what was saved, because then Kafka is another one.
    """
    committed = {group.group: by_partition(group.committed) for group in saved}
    partitions: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for group in (*saved, *present):
        partitions[group.group] |= set(by_partition(group.committed))
    set_back, lost = [], []
    for name in sorted(partitions):
        goes_on = []
        for at in sorted(partitions[name]):
            offset, loss = _goes_on(name, at, committed.get(name, {}).get(at), starts.get(at, 0), ends.get(at, 0))
            goes_on.append(Position(topic=at[0], partition=at[1], offset=offset))
            lost += loss
        set_back.append(GroupPosition(group=name, committed=tuple(goes_on)))
    return set_back, lost


def _goes_on(group: str, at: tuple[str, int], saved: int | None, start: int, end: int) -> tuple[int, list[str]]:
    where = f"{at[0]}, partition {at[1]}"
    if saved is None:
        return start, []
    if saved > end:
        return start, [f"{where}, ends at {end} and {group} had read up to {saved}: Kafka is another one, read from its beginning"]
    if saved < start and at[0] in TRANSIENT:
        # Nobody misses it: the client that asked has gone.
        return start, []
    if saved < start:
        # Left where it is: the worker finds the gap and keeps it for an operator to close.
        return saved, [f"{start - saved} messages of {where}, that {group} was to read again: deleted by Kafka"]
    return saved, []

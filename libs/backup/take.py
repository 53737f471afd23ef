"""Taking a backup: offsets first, then one snapshot of all databases, into a directory that is whole or not there."""

import asyncio
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession

from libs.backup.collection_file import CollectionWriter
from libs.backup.disk import move_synced
from libs.backup.errors import BackupError
from libs.backup.manifest import CollectionCopy, GroupPosition, Manifest, Position, write_manifest
from libs.backup.positions import kafka_positions
from libs.backup.snapshot import Collection, collections_of, history_window, raw_batches, snapshot
from libs.runtime.lag import SERVICES
from libs.runtime.mongo import connect
from libs.runtime.settings import RuntimeSettings

WINDOW_S = 3_600


class Progress(Protocol):
    """Hears how far a long work has come."""

    def begin(self, what: str, total: int) -> None:
        """So many documents are to come."""

    def advance(self, count: int) -> None:
        """So many more are done."""


async def take_backup(
    settings: RuntimeSettings, directory: Path, progress: Progress, *, key: bytes | None = None, window_s: int = WINDOW_S
) -> Manifest:
    """Back up everything to a new directory and return the manifest. Raises BackupError."""
    if directory.exists():
        raise BackupError(f"{directory} exists already", "name a directory that does not, such as one with the date in it")
    partial = directory.with_name(f"{directory.name}.partial-{uuid.uuid4().hex[:8]}")
    partial.mkdir(parents=True)
    try:
        manifest = await _copy(settings, partial, progress, key, window_s)
        write_manifest(partial, manifest, key)
        move_synced(partial, directory)
        return manifest
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


async def _copy(settings: RuntimeSettings, directory: Path, progress: Progress, key: bytes | None, window_s: int) -> Manifest:
    client = connect(settings)
    try:
        async with history_window(client, window_s):
            # Before the snapshot: whatever was committed or published by then is in it.
            groups, ends = await _positions(settings)
            # After the positions: the collection of whatever was committed by then is there and listed.
            collections = await collections_of(client, settings, SERVICES)
            async with snapshot(client) as session:
                taken_at = datetime.now(UTC)
                progress.begin("documents", sum(collection.estimated_count for collection in collections))
                copies = [await _copy_one(client, settings, collection, session, directory, key, progress) for collection in collections]
                return Manifest(
                    id=uuid.uuid4().hex,
                    taken_at=taken_at,
                    cluster_time=str(session.operation_time),
                    mongodb_version=(await client.server_info())["version"],
                    is_encrypted=key is not None,
                    collections=tuple(copies),
                    groups=tuple(groups),
                    ends=tuple(ends),
                )
    finally:
        await client.close()


async def _positions(settings: RuntimeSettings) -> tuple[list[GroupPosition], list[Position]]:
    async with kafka_positions(settings) as positions:
        return await positions.groups(), await positions.ends()


async def _copy_one(
    client: AsyncMongoClient,
    settings: RuntimeSettings,
    collection: Collection,
    session: AsyncClientSession,
    directory: Path,
    key: bytes | None,
    progress: Progress,
) -> CollectionCopy:
    file = f"{collection.service}/{collection.name}.bson.gz" + (".sealed" if key is not None else "")
    path = directory / file
    path.parent.mkdir(exist_ok=True)
    writer = CollectionWriter(path, file, key)
    async for batch in raw_batches(client, settings, collection, session):
        before = writer.document_count
        # Compressing takes most of the time, and lets other threads work meanwhile.
        await asyncio.to_thread(writer.write, batch)
        progress.advance(writer.document_count - before)
    writer.finish()
    return CollectionCopy(
        service=collection.service,
        collection=collection.name,
        file=file,
        document_count=writer.document_count,
        byte_count=writer.byte_count,
        sha256=writer.sha256,
    )

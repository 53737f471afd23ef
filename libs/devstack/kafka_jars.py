"""The jars of Apache Kafka, fetched once per machine and version of `deploy/kafka/jars.txt`, each checked against its SHA-256.

No Maven is needed: the list holds what Maven resolved, and the artifacts come from Maven's central repository.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from maven_artifact import Artifact, Downloader, Resolver
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from libs.devstack.cache import cached_folder, fill_once
from libs.devstack.errors import StackError

KAFKA_FILES = Path(__file__).parents[2] / "deploy" / "kafka"
JAR_LIST = KAFKA_FILES / "jars.txt"
ALL_JARS_BYTES = 46_000_000
# One core is enough for so many downloads; more only wait for the network.
AT_ONCE = 8
ATTEMPTS_MAX = 4
# Of silence, not of the whole download.
SILENCE_TIMEOUT_S = 30.0


class _BrokenDownload(Exception):
    """A jar came, but not with the bytes that the list promises."""


@dataclass(frozen=True)
class LockedJar:
    """A Maven coordinate (`group:artifact:version`) and the SHA-256 of its jar in hexadecimal."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name that Maven gives the jar, `artifact-version.jar`."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def locked_jars(text: str) -> list[LockedJar]:
    """Read a list of jars: a coordinate and a SHA-256 on each line, `#` begins a comment."""
    lines = (line.split("#")[0].split() for line in text.splitlines())
    return [LockedJar(*words) for words in lines if words]


async def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, fetched the first time. Raises StackError when they cannot be fetched."""
    jars = locked_jars(JAR_LIST.read_text())
    folder = cached_folder("kafka", JAR_LIST)
    # A machine that lost its power, or a hand, may have cut them short: Java's words for that help nobody.
    if folder.exists() and not all(_is_whole(jar, folder / jar.file_name) for jar in jars):
        shutil.rmtree(folder)

    async def fetch(scratch: Path) -> Path:
        return await fetch_jars(jars, scratch / "lib", Downloader().resolver)

    return await fill_once(folder, fetch, needs_bytes=ALL_JARS_BYTES)


def _is_whole(jar: LockedJar, file: Path) -> bool:
    return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == jar.sha256


async def fetch_jars(jars: Sequence[LockedJar], folder: Path, repository: Resolver) -> Path:
    """Fetch jars into a new folder and return it. Raises StackError for the first that cannot be had."""
    folder.mkdir()
    columns = TextColumn("Kafka's jars"), BarColumn(), DownloadColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        advance = partial(progress.advance, progress.add_task("jars", total=ALL_JARS_BYTES))
        try:
            await _fetch_all(jars, folder, repository, advance)
        except (httpx.HTTPError, _BrokenDownload) as error:
            raise StackError(
                f"Kafka's jars could not be fetched: {type(error).__name__} {error}".rstrip(),
                "look after the network or proxy (HTTPS_PROXY, SSL_CERT_FILE) and run it again; or set KAFKA_BOOTSTRAP_SERVERS",
            ) from error
    return folder


async def _fetch_all(jars: Sequence[LockedJar], folder: Path, repository: Resolver, advance: Callable[[int], None]) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def fetch(jar: LockedJar) -> None:
        uri = repository.uri_for_artifact(Artifact.parse(jar.coordinate))
        async with places:
            async for attempt in _attempts():
                with attempt:
                    await _fetch_jar(http, uri, jar, folder / jar.file_name, advance)

    async with httpx.AsyncClient(timeout=SILENCE_TIMEOUT_S, follow_redirects=True) as http:
        await asyncio.gather(*(fetch(jar) for jar in jars))


def _attempts() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type((httpx.TransportError, _BrokenDownload)),
        stop=stop_after_attempt(ATTEMPTS_MAX),
        wait=wait_random_exponential(multiplier=0.5, max=5),
        reraise=True,
    )


async def _fetch_jar(http: httpx.AsyncClient, uri: str, jar: LockedJar, file: Path, advance: Callable[[int], None]) -> None:
    digest = hashlib.sha256()
    async with http.stream("GET", uri) as answer:
        answer.raise_for_status()
        with file.open("wb") as output:
            async for chunk in answer.aiter_bytes():
                output.write(chunk)
                digest.update(chunk)
                advance(len(chunk))
    if digest.hexdigest() != jar.sha256:
        raise _BrokenDownload(f"{jar.coordinate} has the SHA-256 {digest.hexdigest()}, deploy/kafka/jars.txt promises {jar.sha256}")

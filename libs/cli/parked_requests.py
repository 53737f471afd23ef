"""Ask services to retry, mend or discard parked messages, and hear what each request came to."""

import asyncio
import base64
import getpass
import socket
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from libs.cli.conversation import asked
from libs.cli.errors import CommandError
from libs.contracts import ParkedDiscardRequested, ParkedMendRequested, ParkedResolved, ParkedRetryRequested
from libs.runtime import RuntimeSettings

# Without any answer for so long, the service does not run, or handles a very long chain.
SILENCE_MAX_S = 60.0
MENDED_BYTES_MAX = 4 * 1024 * 1024

Request = ParkedRetryRequested | ParkedMendRequested | ParkedDiscardRequested


def retry_request(parked_id: str) -> ParkedRetryRequested:
    """Ask for another try."""
    return ParkedRetryRequested(
        id=_new_id("retry"), service=_service(parked_id), parked_id=parked_id, requested_at=datetime.now(UTC), requested_by=operator()
    )


def mend_request(parked_id: str, body: bytes, reason: str) -> ParkedMendRequested:
    """Ask for a message to be handled with another body. Raises CommandError for a body that is too large."""
    if len(body) > MENDED_BYTES_MAX:
        raise CommandError(f"the mended body has {len(body)} bytes, more than {MENDED_BYTES_MAX}", "publish it on its topic instead")
    return ParkedMendRequested(
        id=_new_id("mend"),
        service=_service(parked_id),
        parked_id=parked_id,
        body=base64.b64encode(body).decode(),
        reason=reason,
        requested_at=datetime.now(UTC),
        requested_by=operator(),
    )


def discard_request(parked_id: str, reason: str) -> ParkedDiscardRequested:
    """Ask for a message to be given up."""
    return ParkedDiscardRequested(
        id=_new_id("discard"),
        service=_service(parked_id),
        parked_id=parked_id,
        reason=reason,
        requested_at=datetime.now(UTC),
        requested_by=operator(),
    )


async def resolve(settings: RuntimeSettings, requests: Sequence[Request], what: str) -> list[ParkedResolved]:
    """Publish requests and return their answers, with a progress bar. Raises CommandError when services fall silent."""
    if not requests:
        return []
    waiting = {request.id for request in requests}
    answers: list[ParkedResolved] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, highlight=False), disable=len(requests) == 1) as bar:
        task = bar.add_task(what, total=len(requests))
        async with asked(settings, requests, [ParkedResolved]) as next_fact:
            while waiting:
                try:
                    async with asyncio.timeout(SILENCE_MAX_S):
                        answer = await next_fact()
                except TimeoutError:
                    raise CommandError(
                        f"{len(waiting)} of {len(requests)} requests were not answered within {SILENCE_MAX_S:g} s",
                        "see `tarifa status`; the services act on them once they are up",
                    ) from None
                if answer.id in waiting:
                    waiting.remove(answer.id)
                    answers.append(answer)
                    bar.advance(task)
    return answers


def operator() -> str:
    """Return who asks: the user and the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _service(parked_id: str) -> str:
    return parked_id.partition(":")[0]


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"

"""Waiting for the fact that answers a request: published under an id, heard by every instance of the gateway."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from libs.contracts import BillDocumentRendered, BillPreviewed, BillPreviewRefused, BillStateChanged, BillStateRefused

Answer = BillStateChanged | BillStateRefused | BillDocumentRendered | BillPreviewed | BillPreviewRefused


class Answers:
    """The requests in hand. Answers to requests of other instances pass by."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Future[Answer]] = {}

    @contextmanager
    def awaiting(self, request_id: str) -> Iterator[asyncio.Future[Answer]]:
        """Enter before publishing the request, so that no answer can be too quick."""
        self._awaited[request_id] = asyncio.get_running_loop().create_future()
        try:
            yield self._awaited[request_id]
        finally:
            del self._awaited[request_id]

    def hear(self, answer: Answer) -> None:
        """Hand an answer to whoever awaits it; the first one counts."""
        awaited = self._awaited.get(answer.request_id)
        if awaited is not None and not awaited.done():
            awaited.set_result(answer)

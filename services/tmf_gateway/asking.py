"""Asking another service and waiting for its answer."""

import asyncio

from aiokafka.errors import KafkaError

from libs.contracts import BillDocumentRequested, BillPreviewRequested, BillStateRequested
from services.tmf_gateway.answers import Answer
from services.tmf_gateway.gateway import Gateway


async def ask(gateway: Gateway, request: BillStateRequested | BillDocumentRequested | BillPreviewRequested, wait_s: float) -> Answer | None:
    """Publish a request and wait for its answer; None when there was none in time, or Kafka did not take the request."""
    with gateway.answers.awaiting(request.id) as answer:
        try:
            async with asyncio.timeout(wait_s):
                await gateway.publish([request])
                return await answer
        except (TimeoutError, KafkaError):
            return None

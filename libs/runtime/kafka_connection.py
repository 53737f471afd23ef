"""Connections to Kafka that notice under uvloop that they were closed.

Writing to a closed connection raises RuntimeError in uvloop, and OSError or nothing in asyncio. aiokafka expects OSError only: the other
error ends the task that keeps a consumer in its group, and the consumer reads nothing more (aio-libs/aiokafka#1038).
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

_send = AIOKafkaConnection.send


def send(connection: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    """Send a request as aiokafka does, and return what it awaits. Raises KafkaConnectionError where the connection was closed."""
    try:
        return _send(connection, request, expect_response)
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"connection to Kafka was closed: {error}") from error


def notice_closed_connections() -> None:
    """Let every client of this process send so, FastStream's among them."""
    AIOKafkaConnection.send = send

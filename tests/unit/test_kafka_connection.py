"""A connection to Kafka that was closed is noticed when something is sent, whatever the event loop raises."""

import asyncio
from types import SimpleNamespace

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from libs.runtime import kafka_connection

STRUCT = SimpleNamespace(build_request_header=lambda **_: SimpleNamespace(encode=bytes), encode=lambda: b"request")
REQUEST = SimpleNamespace(prepare=lambda versions: STRUCT)


async def closed_connection() -> AIOKafkaConnection:
    """A connection whose transport has been closed, before aiokafka has heard of it."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = AIOKafkaConnection(host=host, port=port)
    connection._reader, connection._writer = await asyncio.open_connection(host, port)
    connection._read_task = asyncio.create_task(asyncio.Event().wait())
    connection._writer.transport.abort()
    await connection._writer.wait_closed()
    server.close()
    return connection


def test_a_closed_connection_is_an_error_of_kafka_under_uvloop() -> None:
    async def sent() -> None:
        connection = await closed_connection()
        # Else there would be nothing to mend any more.
        with pytest.raises(RuntimeError, match="handler is closed"):
            kafka_connection._send(connection, REQUEST)
        with pytest.raises(KafkaConnectionError, match="handler is closed"):
            kafka_connection.send(connection, REQUEST)
        assert not connection.connected()

    uvloop.run(sent())

"""Posting to callbacks over real sockets: what a name leads to, whom TLS believes, and how long it may take."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
import trustme

from services.notifications.callback_client import CallbackClient
from services.notifications.domain.callback import CallbackRefused
from tests.services.hub_subscriber import Answer, Subscriber, listening

LOOPBACK = (ip_network("127.0.0.0/8"),)
Resolve = Callable[..., None]


@pytest.fixture
async def crm() -> AsyncIterator[Subscriber]:
    async with listening() as subscriber:
        yield subscriber


@pytest.fixture
async def resolve(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """`resolve("crm.example", ["127.0.0.1"], ["10.0.0.1"])`: what the name resolves to at the first asking, at the second …"""

    def answer(name: str, *answers: list[str]) -> None:
        loop = asyncio.get_running_loop()
        unasked = list(answers)

        async def getaddrinfo(host: str, port: int, **_: object) -> list:
            if host != name:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in unasked.pop(0)]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)

    return answer


@asynccontextmanager
async def client(allowed=LOOPBACK, timeout_s: float = 5.0) -> AsyncIterator[CallbackClient]:
    opened = CallbackClient(allowed, timeout_s)
    try:
        yield opened
    finally:
        await opened.close()


def port_of(subscriber: Subscriber) -> int:
    return int(subscriber.url.rsplit(":", 1)[1])


async def test_the_connection_goes_to_the_judged_address_under_the_name_of_the_callback(crm, resolve):
    resolve("crm.example", ["127.0.0.1"])
    async with client() as callbacks:
        attempt = await callbacks.post(f"http://crm.example:{port_of(crm)}/listener/x", b"{}", {})

    assert attempt.succeeded, attempt.error
    assert crm.received[0].headers["host"] == f"crm.example:{port_of(crm)}"


async def test_a_name_with_one_address_inside_is_refused_though_another_is_public(crm, resolve):
    resolve("crm.example", ["93.184.215.14", "127.0.0.1"])
    async with client(allowed=()) as callbacks:
        with pytest.raises(CallbackRefused, match=r"127\.0\.0\.1 is a loopback address"):
            await callbacks.post(f"http://crm.example:{port_of(crm)}/", b"{}", {})

    assert crm.received == []


async def test_a_name_is_judged_anew_at_every_connection(crm, resolve):
    crm.answer = lambda _: Answer(headers={"connection": "close"})
    resolve("crm.example", ["127.0.0.1"], ["10.0.0.1"])
    async with client() as callbacks:
        assert (await callbacks.post(f"http://crm.example:{port_of(crm)}/", b"{}", {})).succeeded

        with pytest.raises(CallbackRefused, match=r"10\.0\.0\.1 is a private address"):
            await callbacks.post(f"http://crm.example:{port_of(crm)}/", b"{}", {})


async def test_a_name_that_does_not_resolve_is_an_attempt_that_failed(resolve):
    resolve("other.example", ["127.0.0.1"])
    async with client() as callbacks:
        attempt = await callbacks.post("http://crm.example/", b"{}", {})

    assert "Name or service not known" in attempt.error


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "cr m.example", "xn--.example"])
async def test_a_name_that_cannot_be_one_ends_as_an_answer_not_as_a_fault(host):
    async with client() as callbacks:
        try:
            attempt = await callbacks.post(f"http://{host}/", b"{}", {})
        except CallbackRefused:
            return
    assert attempt.error


async def test_a_dead_address_does_not_hide_a_live_one(crm, resolve):
    resolve("crm.example", ["127.9.9.9", "127.0.0.1"])
    async with client() as callbacks:
        attempt = await callbacks.post(f"http://crm.example:{port_of(crm)}/", b"{}", {})

    assert attempt.succeeded, attempt.error


async def test_proxies_of_the_environment_are_not_asked(crm, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with client() as callbacks:
        assert (await callbacks.post(f"{crm.url}/", b"{}", {})).succeeded


@asynccontextmanager
async def answering(response: bytes, *, then_hang: bool = False, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that says exactly this to everybody; the port."""
    gate = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        if then_hang:
            await gate.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        gate.set()
        server.close()


async def test_tls_believes_the_name_of_the_callback_not_the_address(resolve, monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("crm.example").configure_cert(tls)
    async with answering(b"HTTP/1.1 204 No Content\r\n\r\n", tls=tls) as port, client() as callbacks:
        resolve("crm.example", ["127.0.0.1"])
        genuine = await callbacks.post(f"https://crm.example:{port}/", b"{}", {})
        resolve("impostor.example", ["127.0.0.1"])
        forged = await callbacks.post(f"https://impostor.example:{port}/", b"{}", {})

    assert genuine.succeeded, genuine.error
    assert "certificate" in forged.error


async def test_an_answer_that_never_ends_is_cut_off_at_the_time_limit():
    async with answering(b"HTTP/1.1 200 OK\r\n", then_hang=True) as port, client(timeout_s=0.3) as callbacks:
        attempt = await callbacks.post(f"http://127.0.0.1:{port}/", b"{}", {})

    assert attempt.error == "no answer within 0.3 s"


async def test_an_answer_of_any_size_costs_no_memory():
    told = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 200_000
    async with answering(told, then_hang=True) as port, client() as callbacks:
        attempt = await callbacks.post(f"http://127.0.0.1:{port}/", b"{}", {})

    assert attempt.status == 200


async def test_what_is_not_http_is_an_attempt_that_failed():
    async with answering(b"220 mail.example ESMTP\r\n") as port, client() as callbacks:
        attempt = await callbacks.post(f"http://127.0.0.1:{port}/", b"{}", {})

    assert "ProtocolError" in attempt.error

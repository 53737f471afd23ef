"""`tarifa bench api`: how long clients of the gateway wait, one at a time and 32 at once, with the real services behind it.

Bills and rates are stored directly, as invoicing and rating store them; what PATCH and POST set in motion goes its whole
way. Every answer is checked: a wrong status fails the measurement instead of being quick.
"""

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, islice
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import quote

import psutil
from pymongo import AsyncMongoClient

from libs.bench.api_seed import BILLS_PER_ACCOUNT, RATES_PER_BILL, account, bill_document, bill_id, rate_documents
from libs.bench.billing import RATE_BOOK
from libs.bench.connection import Answer, Connection
from libs.bench.namespace import drop_namespace
from libs.contracts import UsageReceived
from libs.devstack import Program, free_port, service_process
from libs.devstack.ports import LOOPBACK
from libs.runtime import RuntimeSettings
from libs.runtime.lag import settled
from libs.runtime.mongo import connect, database
from libs.runtime.publisher import FactPublisher
from libs.runtime.topics import create_topics

SERVICES = ("rating", "invoicing", "ledger", "on_demand_bill", "tmf_gateway")
CONCURRENCIES = (1, 32)
# Enough for a 99th percentile, and few enough to stay short.
REQUESTS = {1: 200, 32: 1_600}
ON_DEMAND_REQUESTS = {1: 30, 32: 160}
SEEDED_AT_A_TIME = 2_000
TIMEOUT_S = 300.0
DONE_POLL_S = 0.005
BILLS = "/tmf-api/customerBillManagement/v4/customerBill"
ON_DEMAND = "/tmf-api/customerBillManagement/v4/customerBillOnDemand"
ACCOUNTS = "/tmf-api/accountManagement/v4/billingAccount"
PRODUCTS = "/tmf-api/productInventory/v4/product"

Say = Callable[[str], None]
# Does one thing over a connection; returns how long the client waited, in ms, by what it waited for.
Step = Callable[[Connection], Awaitable[dict[str, float]]]


class WrongAnswer(RuntimeError):
    """The gateway answered something else than what is measured."""


@dataclass(frozen=True)
class ApiBench:
    """How many bills are stored and how often everything is measured."""

    bills: int
    runs: int

    async def measure(self, infrastructure: RuntimeSettings, directory: Path, say: Say) -> dict[str, object]:
        """Measure in a fresh namespace of these servers, gone afterwards; logs and the rate book go to `directory`."""
        settings = infrastructure.model_copy(update={"namespace": f"bench{uuid.uuid4().hex[:8]}", "log_level": "WARNING"})
        figures: dict[str, list[float]] = {}
        async with _stack(settings, directory) as stack:
            say(f"storing {self.bills:,} bills and {self.bills * RATES_PER_BILL:,} rates")
            await stack.seed(self.bills)
            customers = sum(ON_DEMAND_REQUESTS.values()) * self.runs
            say(f"opening {customers} accounts with something to bill")
            waiting = iter(await stack.open_customers(customers))
            untouched = count()
            for number in range(self.runs):
                for concurrency in CONCURRENCIES:
                    requests = REQUESTS[concurrency]
                    accounts = self.bills // BILLS_PER_ACCOUNT
                    steps = {
                        "list_by_account": [_list_of(account(n * 37 % accounts)) for n in range(requests)],
                        "get_by_id": [_get_of(bill_id(n * 101 % self.bills)) for n in range(requests)],
                        "patch": [_hold_of(bill_id(next(untouched) % self.bills)) for _ in range(requests)],
                        "on_demand": [_request_of(next(waiting)) for _ in range(ON_DEMAND_REQUESTS[concurrency])],
                    }
                    for name, work in steps.items():
                        cpu_before_s = stack.gateway_cpu_s()
                        waits = await stack.run(work, concurrency)
                        cpu_ms = 1000 * (stack.gateway_cpu_s() - cpu_before_s) / len(work)
                        figures.setdefault(f"{name}_{concurrency}_gateway_cpu_ms", []).append(cpu_ms)
                        for what, milliseconds in waits.items():
                            key = f"{name}_{what}_{concurrency}" if what else f"{name}_{concurrency}"
                            figures.setdefault(f"{key}_median_ms", []).append(median(milliseconds))
                            figures.setdefault(f"{key}_p99_ms", []).append(quantiles(milliseconds, n=100)[98])
                            said = f"median {median(milliseconds):.1f} ms, p99 {quantiles(milliseconds, n=100)[98]:.1f} ms"
                            say(f"run {number + 1} of {self.runs}: {name} {what or ''} by {concurrency}: {said}")
        return {
            "bills": self.bills,
            "rates": self.bills * RATES_PER_BILL,
            **{name: round(median(runs), 2) for name, runs in figures.items()},
            "runs": {name: [round(figure, 2) for figure in runs] for name, runs in figures.items()},
        }


class _Stack:
    """The services that answer, and the hands that ask."""

    def __init__(self, settings: RuntimeSettings, client: AsyncMongoClient, publisher: FactPublisher, gateway: Program, port: int) -> None:
        self._settings = settings
        self._publisher = publisher
        self._gateway = psutil.Process(gateway.pid)
        self._port = port
        self._bills = database(client, settings, "invoicing")["bills"]
        self._charges = database(client, settings, "rating")["charges"]

    def gateway_cpu_s(self) -> float:
        """The gateway's computing time so far, which does not depend on what else the machine does."""
        return sum(self._gateway.cpu_times()[:2])

    async def seed(self, bills: int) -> None:
        """Bills and their rates, as their services store them."""
        numbers = iter(range(bills))
        while chunk := list(islice(numbers, SEEDED_AT_A_TIME)):
            await self._bills.insert_many([bill_document(number) for number in chunk], ordered=False)
            await self._charges.insert_many([rate for number in chunk for rate in rate_documents(number)], ordered=False)

    async def open_customers(self, customers: int) -> list[str]:
        """Accounts, each with a product and a call that is not billed yet."""
        accounts: list[str] = []
        await self.run([_open_customer(number, accounts) for number in range(customers)], 16)
        await settled(self._settings, TIMEOUT_S)
        await self._publisher.publish(
            UsageReceived(
                id=f"call-{number}",
                identifier=_msisdn(number),
                usage_type="voice",
                started_at=datetime.now(UTC) - timedelta(hours=1),
                quantity=Decimal(600),
                unit="s",
            )
            for number in range(customers)
        )
        await settled(self._settings, TIMEOUT_S)
        return accounts

    async def run(self, steps: Sequence[Step], concurrency: int) -> dict[str, list[float]]:
        """Do all steps, so many at a time, each worker over a connection of its own."""
        waits: dict[str, list[float]] = {}
        left = iter(steps)

        async def work() -> None:
            async with Connection(LOOPBACK, self._port) as connection:
                for step in left:
                    for what, milliseconds in (await step(connection)).items():
                        waits.setdefault(what, []).append(milliseconds)

        async with asyncio.TaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(work())
        return waits


async def _asked(connection: Connection, status: int, method: str, path: str, body: object = None) -> tuple[Answer, float]:
    """The answer and how long it took, in ms. Raises WrongAnswer."""
    sent = json.dumps(body).encode() if body is not None else b""
    started = time.perf_counter()
    answer = await connection.ask(method, path, sent)
    milliseconds = 1000 * (time.perf_counter() - started)
    if answer.status != status:
        raise WrongAnswer(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
    return answer, milliseconds


def _list_of(account_id: str) -> Step:
    async def step(connection: Connection) -> dict[str, float]:
        answer, milliseconds = await _asked(connection, 200, "GET", f"{BILLS}?billingAccount.id={account_id}")
        if answer.body.count(b'"billNo"') != BILLS_PER_ACCOUNT:
            raise WrongAnswer(f"account {account_id} has not {BILLS_PER_ACCOUNT} bills: {answer.body[:500]!r}")
        return {"": milliseconds}

    return step


def _get_of(bill_id: str) -> Step:
    async def step(connection: Connection) -> dict[str, float]:
        return {"": (await _asked(connection, 200, "GET", f"{BILLS}/{quote(bill_id)}"))[1]}

    return step


def _hold_of(bill_id: str) -> Step:
    async def step(connection: Connection) -> dict[str, float]:
        return {"": (await _asked(connection, 200, "PATCH", f"{BILLS}/{quote(bill_id)}", {"state": "onHold"}))[1]}

    return step


def _request_of(account_id: str) -> Step:
    """POST, then ask for the request until it is done: the time to done includes what the asking finds out late."""

    async def step(connection: Connection) -> dict[str, float]:
        started = time.perf_counter()
        answer, posted_ms = await _asked(connection, 201, "POST", ON_DEMAND, {"billingAccount": {"id": account_id}})
        request = json.loads(answer.body)
        while request["state"] == "inProgress":
            if time.perf_counter() - started > TIMEOUT_S:
                raise WrongAnswer(f"request {request['id']} is still in progress after {TIMEOUT_S:g} s")
            await asyncio.sleep(DONE_POLL_S)
            request = json.loads((await _asked(connection, 200, "GET", f"{ON_DEMAND}/{request['id']}"))[0].body)
        if request["state"] != "done":
            raise WrongAnswer(f"a bill on demand ended as {request}")
        return {"post": posted_ms, "done": 1000 * (time.perf_counter() - started)}

    return step


def _open_customer(number: int, opened: list[str]) -> Step:
    async def step(connection: Connection) -> dict[str, float]:
        party = {"id": f"party-{number}", "name": f"Customer {number}", "@referredType": "Individual"}
        account, account_ms = await _asked(connection, 201, "POST", ACCOUNTS, {"name": party["name"], "relatedParty": [party]})
        account_id = json.loads(account.body)["id"]
        product = {
            "name": "Flat",
            "status": "active",
            "startDate": "2025-01-01T00:00:00Z",
            "billingAccount": {"id": account_id},
            "productOffering": {"id": "flat"},
            "productCharacteristic": [{"name": "msisdn", "value": _msisdn(number)}],
        }
        _, product_ms = await _asked(connection, 201, "POST", PRODUCTS, product)
        opened.append(account_id)
        return {"account": account_ms, "product": product_ms}

    return step


def _msisdn(number: int) -> str:
    return f"+346{number:08d}"


@asynccontextmanager
async def _stack(settings: RuntimeSettings, directory: Path) -> AsyncIterator[_Stack]:
    books = directory / "rate-books"
    books.mkdir()
    (books / "bench.yaml").write_text(RATE_BOOK)
    environment = {**os.environ, "RATE_BOOKS_DIR": str(books)}
    ports = {name: free_port() for name in SERVICES}
    services = [
        service_process(name, settings, port=ports[name], log=directory / f"{name}.log", environment=environment) for name in SERVICES
    ]
    await create_topics(settings)
    publisher = FactPublisher("bench", settings)
    client = connect(settings)
    async with AsyncExitStack() as at_the_end:
        at_the_end.push_async_callback(drop_namespace, settings, client, SERVICES)
        at_the_end.push_async_callback(publisher.stop)
        for service in services:
            at_the_end.push_async_callback(service.terminate)
            service.launch()
        await asyncio.gather(*(service.wait_ready() for service in services))
        await publisher.start()
        yield _Stack(settings, client, publisher, services[SERVICES.index("tmf_gateway")], ports["tmf_gateway"])

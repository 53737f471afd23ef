"""A backup that is older than what Kafka holds, restored: no number changes, and nothing that was created since is lost."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from libs.audit import audit
from libs.backup.restore import restore
from libs.backup.snapshot import history_window
from libs.backup.take import WINDOW_S, take_backup
from libs.cli.books_in_force import books_in_force
from libs.devstack.settings import PROJECT_ROOT
from libs.runtime import RuntimeSettings
from libs.runtime.adoption import RESTORES
from libs.runtime.lag import SERVICES
from libs.runtime.mongo import connect, database
from libs.runtime.topics import create_topics
from tests.world import AUDITED_AT, TMF666, TMF678, WAIT_S, Customer, World, drop_databases, running_world

# What each collection says in numbers and states; when a copy was written, and by whom, is not compared.
COMPARED = {
    ("tmf_gateway", "billing_accounts"): ("resource", "revision"),
    ("tmf_gateway", "products"): ("resource", "revision", "identifiers", "account_id"),
    ("tmf_gateway", "product_offerings"): ("resource", "revision", "publications"),
    ("tmf_gateway", "product_offering_prices"): ("resource",),
    ("tmf_gateway", "product_specifications"): ("resource", "revision"),
    ("tmf_gateway", "on_demand_requests"): ("state", "bill_id", "account_id", "reason"),
    ("tmf_gateway", "hub_subscriptions"): ("api", "callback", "query", "subject"),
    ("tmf_gateway", "identifier_holdings"): ("holdings",),
    ("rating", "usage"): ("charge_id", "price_id", "rate_book", "numerator", "denominator", "quantity", "received", "reason"),
    ("rating", "charges"): ("state", "amount", "sums", "usage_count", "quantity", "bill_id", "cut_id", "kind", "offering_id", "sequence"),
    ("rating", "cuts"): ("lines", "period", "closed_at"),
    ("rating", "suspense"): ("state", "reason", "usage_id"),
    ("rating", "tariffs"): ("text", "effective_from", "accepted_at", "offering_ids"),
    ("rating", "accounts"): ("cuts", "billed_until"),
    ("rating", "buckets"): ("granted", "used", "denominator"),
    ("invoicing", "bills"): ("bill_no", "state", "lines", "tax_items", "tax_included_amount", "remaining_amount", "bill_date"),
    ("invoicing", "numbers"): ("last",),
    ("ledger", "entries"): ("postings", "bill_no", "posted_at"),
    ("ledger", "balances"): ("receivable", "entry_count"),
    ("on_demand_bill", "requests"): ("state", "bill_id", "reason"),
    ("operations", "runs"): ("state", "counts", "attempt"),
    ("operations", "run_accounts"): ("outcome", "bill_id", "amount"),
}
TMF620 = "/tmf-api/productCatalogManagement/v4"


class Silent:
    """Progress that nobody watches."""

    def begin(self, what: str, total: int) -> None:
        """Nothing."""

    def advance(self, count: int) -> None:
        """Nothing."""


async def numbers_of(settings: RuntimeSettings) -> dict[tuple[str, str], dict[str, Any]]:
    client = connect(settings)
    try:
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for (service, collection), fields in COMPARED.items():
            documents = database(client, settings, service)[collection].find({}, dict.fromkeys(fields, 1))
            found[service, collection] = {document["_id"]: document async for document in documents}
        return found
    finally:
        await client.close()


async def reports_of(settings: RuntimeSettings) -> dict[str, dict[str, Any]]:
    client = connect(settings)
    try:
        found = {service: await database(client, settings, service)[RESTORES].find_one({}) for service in SERVICES}
        return {service: report for service, report in found.items() if report}
    finally:
        await client.close()


async def assert_audit_is_clean(settings: RuntimeSettings) -> None:
    books = await books_in_force(settings, PROJECT_ROOT / "deploy" / "rate-books")
    client = connect(settings)
    try:
        # On a loaded machine MongoDB would forget the instant of the audit's reads while it works.
        async with history_window(client, WINDOW_S):
            findings = await audit(settings, books, lambda _: None, as_of=AUDITED_AT)
    finally:
        await client.close()
    assert findings.is_clean, findings.differences[:5]


@asynccontextmanager
async def calling(customer: Customer) -> AsyncIterator[None]:
    """Load: calls all the time."""
    stopping = asyncio.Event()

    async def call() -> None:
        while not stopping.is_set():
            await customer.calls(at="2026-04-03 10:00", seconds=61, count=20)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(call())
    try:
        yield
    finally:
        stopping.set()
        await task


async def before_the_backup(world: World) -> list[Customer]:
    customers = [await world.customer(f"Customer {number}") for number in range(3)]
    for customer in customers:
        await customer.calls(at="2026-03-02 10:00", seconds=600, count=3)
    await world.settle(WAIT_S)
    await world.bill_run("2026-03")
    return customers


async def launch_an_offering(world: World) -> str:
    """An offering with fees and tiers, in force; returns its id."""
    specification = await world.post(f"{TMF620}/productSpecification", {"name": "Mobile line"})
    money = {"unit": "USD"}
    tiers = [{"up_to": "60 s", "price": {"amount": 0.05, "per": "1 s"}}, {"price": {"amount": 0.02, "per": "1 s"}}]
    said = {"usageType": [{"value": "voice"}], "graduated": [{"value": tier} for tier in tiers]}
    uses = [{"name": name, "productSpecCharacteristicValue": values} for name, values in said.items()]
    fee = {"name": "Fee", "priceType": "recurring", "price": {**money, "value": 9.99}}
    bodies = [
        {**fee, "recurringChargePeriodType": "month", "recurringChargePeriodLength": 1},
        {"name": "Calls", "priceType": "usage", "price": money, "prodSpecCharValueUse": uses},
    ]
    prices = [await world.post(f"{TMF620}/productOfferingPrice", body) for body in bodies]
    offering = await world.post(
        f"{TMF620}/productOffering",
        {
            "name": "Made by a CRM",
            "lifecycleStatus": "Launched",
            "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
            "productSpecification": {"id": specification["id"]},
            "productOfferingPrice": [{"id": price["id"]} for price in prices],
        },
    )
    await world.settle(WAIT_S)
    assert (await world.get(f"{TMF620}/productOffering/{offering['id']}"))["statusReason"].startswith("in force as")
    return offering["id"]


async def after_the_backup(world: World, known: list[Customer]) -> None:
    """Everything that a backup does not have: new customers, calls, bills of both kinds, a run, states, subscriptions, suspense."""
    offering = await launch_an_offering(world)
    new = [await world.customer("New"), await world.customer("Of the catalogue", offering=offering, started_at="2026-03-01T05:00:00Z")]
    for customer in (*known, *new):
        await customer.calls(at="2026-04-02 10:00", seconds=119, count=4)
        await customer.calls(at="2026-03-30 10:00", seconds=59)
    await world.publish(known[0].usage(at="2026-04-02 11:00", seconds=5, identifier="+12125550000"))
    await world.settle(WAIT_S)
    # One by one, and the last first, so that the numbers follow no order of ids or topics.
    for customer in reversed([*known, *new]):
        assert (await customer.bill_on_demand())["state"] == "done"
    (bill, *_) = await known[0].bills()
    answer = await world.gateway.patch(f"{TMF678}/customerBill/{bill['id']}", json={"state": "validated"})
    assert answer.status_code == 200, answer.text
    await world.post(f"{TMF678}/hub", {"callback": "https://crm.example.invalid/listener"})
    renamed = await world.gateway.patch(f"{TMF666}/billingAccount/{new[0].account_id}", json={"name": "Renamed"})
    assert renamed.status_code == 200, renamed.text
    for customer in known:
        await customer.calls(at="2026-04-12 10:00", seconds=30, count=2)
    await world.settle(WAIT_S)
    await world.bill_run("2026-04")
    # Not in the run of April any more, and must not get into it by being there when it is read again.
    await world.customer("Late")
    await new[1].calls(at="2026-05-02 10:00", seconds=77, count=3)
    await world.settle(WAIT_S)


async def test_no_number_changes_when_an_older_backup_is_restored(infrastructure: dict[str, str], tmp_path: Path):
    settings = RuntimeSettings(**infrastructure, namespace=f"r{uuid.uuid4().hex[:12]}")
    await create_topics(settings)
    try:
        async with running_world(settings) as world:
            customers = await before_the_backup(world)
            async with calling(customers[0]):
                manifest = await take_backup(settings, tmp_path / "backup", Silent())
            await after_the_backup(world, customers)
        before = await numbers_of(settings)

        restored = await restore(settings, tmp_path / "backup", manifest, Silent(), overwrite=True)
        assert restored.lost == ()
        async with running_world(settings) as world:
            await world.settle(WAIT_S)
            after = await numbers_of(settings)
            for place in COMPARED:
                assert after[place] == before[place], f"{place} differs"
            reports = await reports_of(settings)
            assert {service: report["lost"] for service, report in reports.items()} == {service: [] for service in SERVICES}
            await assert_audit_is_clean(settings)
            known = replace(customers[1], world=world)
            await known.calls(at="2026-05-03 10:00", seconds=60)
            await world.settle(WAIT_S)
            assert (await known.bill_on_demand())["state"] == "done"
            numbers = sorted(bill["bill_no"] for bill in (await numbers_of(settings))["invoicing", "bills"].values())
            assert len(set(numbers)) == len(before["invoicing", "bills"]) + 1
    finally:
        await drop_databases(settings)

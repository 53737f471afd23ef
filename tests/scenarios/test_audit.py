"""The audit over a world that did a bit of everything: clean as it is, and each corrupted document is reported."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pymongo.asynchronous.collection import AsyncCollection
from rich.console import Console

from libs.audit import Findings, audit
from libs.audit.auditor import Subject, subjects
from libs.audit.domain.difference import Category
from libs.cli.audit_course import AuditCourse
from libs.contracts import UsageReceived
from libs.devstack.settings import PROJECT_ROOT
from libs.pricing import load_rate_books
from tests.command_line import run_tarifa
from tests.world import World

BOOKS = load_rate_books(PROJECT_ROOT / "deploy" / "rate-books")
CENT = Decimal("0.01")
# A month after the one that was run, when its run is due.
RUNS_DUE_AT = datetime(2026, 5, 1, tzinfo=UTC)
Document = dict[str, Any]


@pytest.fixture(scope="module")
async def busy(world: World) -> World:
    """A bill run, a bill on demand, an idle customer, usage still unbilled, and one of each kind of suspended usage."""
    ada, bob = await world.customer("Ada"), await world.customer("Bob")
    await world.customer("Idle")
    (call, *_) = await ada.calls(at="2026-03-02 10:00", seconds=600, count=3)
    await bob.calls(at="2026-03-02 20:00", seconds=61)
    await bob.calls(at="2026-03-02 20:00", seconds=62, to="+34911234567")
    other_body = replace(call, quantity=Decimal(601))
    stranger = replace(call, id=world.usage_id(), identifier="+19995550000")
    await world.publish(call, other_body, stranger)
    await world.services["rating"].publisher.publish_raw(world.settings.topic(UsageReceived.topic), b"?", b'{"id": "broken"')
    await world.settle()
    await bob.bill_on_demand()
    await world.bill_run("2026-03")
    await ada.calls(at="2026-03-05 10:00", seconds=30)
    await world.settle()
    return world


async def findings_of(world: World, as_of: datetime = RUNS_DUE_AT, course: AuditCourse | None = None) -> Findings:
    return await audit(world.settings, BOOKS, lambda subject: None, as_of=as_of, course=course, pause_s=0)


async def test_what_the_services_did_is_found_to_be_right(busy: World) -> None:
    findings = await findings_of(busy)
    assert findings.differences == []
    assert findings.is_clean
    assert findings.checked["usages"] == 6
    assert findings.checked["bills"] == 2
    assert findings.checked["suspense entries"] == 3


@dataclass(frozen=True)
class Corruption:
    """One document of one collection, changed or deleted behind the back of its service; and what the audit must say."""

    service: str
    collection: str
    query: Mapping[str, Any]
    change: Callable[[Document], None] | None
    expected: frozenset[Category]

    def __str__(self) -> str:
        return f"{self.service}.{self.collection}: {' '.join(sorted(self.expected))}"


def corruption(place: str, query: Mapping[str, Any], change: Callable[[Document], None] | None, *expected: Category) -> Corruption:
    service, _, collection = place.partition(".")
    return Corruption(service, collection, query, change, frozenset(expected))


def add(field: str, amount: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document[field] += amount

    return change


def put(field: str, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document[field] = value

    return change


def in_line(field: str, amount: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        document["lines"][0][field] += amount

    return change


def taxed_more(bill: Document) -> None:
    bill["tax_items"][0]["amount"] += CENT


def posted_more(entry: Document) -> None:
    entry["postings"][0]["amount"] += CENT


def counted_more(run: Document) -> None:
    run["counts"]["billed"] += 1


RATED = {"charge_id": {"$exists": True}}
BILLED = {"state": "billed"}
WITH_LINES = {"lines.0": {"$exists": True}}
CORRUPTIONS = (
    corruption("rating.usage", RATED, add("numerator", 1), Category.CHARGE_USAGES, Category.USAGE_PRICE),
    corruption("rating.usage", RATED, add("quantity", 1), Category.USAGE_ALTERED),
    corruption("rating.usage", RATED, None, Category.USAGE_UNDECIDED, Category.CHARGE_USAGES),
    corruption("rating.usage", RATED, put("charge_id", "of-nobody"), Category.CHARGE_MISSING, Category.CHARGE_USAGES),
    corruption("rating.suspense", {"reason": "malformed"}, None, Category.USAGE_UNDECIDED),
    corruption("rating.suspense", {"reason": "duplicate-id"}, None, Category.USAGE_ALTERED),
    corruption("rating.suspense", {"reason": "unknown-product"}, None, Category.SUSPENSE),
    corruption("rating.suspense", {"reason": "unknown-product"}, put("state", "rated"), Category.SUSPENSE),
    corruption("rating.charges", {"state": "open"}, add("usage_count", 1), Category.CHARGE_USAGES),
    corruption("rating.charges", {"state": "open"}, put("amount", CENT), Category.CHARGE_AMOUNT),
    corruption("rating.charges", BILLED, add("amount", CENT), Category.CHARGE_AMOUNT, Category.CHARGE_CUT, Category.BILL_LINE),
    corruption("rating.charges", BILLED, put("bill_id", "another"), Category.CHARGE_NOT_BILLED),
    corruption("rating.charges", BILLED, put("state", "closed"), Category.CHARGE_NOT_BILLED),
    corruption("rating.charges", BILLED, put("cut_id", "another"), Category.CHARGE_CUT),
    corruption("rating.charges", BILLED, None, Category.CHARGE_MISSING),
    corruption("rating.cuts", WITH_LINES, in_line("amount", CENT), Category.CHARGE_CUT),
    corruption("rating.cuts", WITH_LINES, None, Category.CHARGE_CUT, Category.BILL_CUT),
    corruption("invoicing.bills", {}, in_line("amount", CENT), Category.BILL_LINE, Category.BILL_TOTALS),
    corruption("invoicing.bills", {}, taxed_more, Category.BILL_TOTALS, Category.BILL_TAX, Category.LEDGER_ENTRY),
    corruption("invoicing.bills", {}, put("cut_id", "another"), Category.BILL_CUT, Category.CUT_UNBILLED),
    corruption("invoicing.bills", {"run_type": "onCycle"}, None, Category.BILL_NUMBER, Category.CUT_UNBILLED, Category.RUN_ACCOUNT),
    corruption("invoicing.bills", {"run_type": "offCycle"}, None, Category.CHARGE_NOT_BILLED, Category.ON_DEMAND_REQUEST),
    corruption("invoicing.bills", {}, put("bill_no", "2026-99999999"), Category.BILL_NUMBER),
    corruption("invoicing.bills", {}, put("bill_no", "no number"), Category.BILL_NUMBER),
    corruption("invoicing.numbers", {}, add("last", 1), Category.BILL_NUMBER),
    corruption("ledger.entries", {}, posted_more, Category.LEDGER_ENTRY, Category.LEDGER_BALANCE),
    corruption("ledger.entries", {}, None, Category.LEDGER_ENTRY, Category.LEDGER_BALANCE),
    corruption("ledger.balances", {}, add("receivable", CENT), Category.LEDGER_BALANCE),
    corruption("ledger.balances", {}, None, Category.LEDGER_BALANCE),
    corruption("on_demand_bill.requests", {}, put("state", "inProgress"), Category.ON_DEMAND_REQUEST),
    corruption("on_demand_bill.requests", {}, put("bill_id", "another"), Category.ON_DEMAND_REQUEST),
    corruption("on_demand_bill.requests", {}, None, Category.ON_DEMAND_REQUEST),
    corruption("operations.run_accounts", {"outcome": "billed"}, put("outcome", None), Category.RUN_ACCOUNT, Category.RUN_COUNTS),
    corruption("operations.run_accounts", {"outcome": "billed"}, add("amount", CENT), Category.RUN_ACCOUNT, Category.RUN_COUNTS),
    corruption("operations.runs", {}, counted_more, Category.RUN_COUNTS),
    corruption("operations.runs", {}, None, Category.CYCLE_WITHOUT_RUN),
    corruption("operations.runs", {}, put("state", "refused"), Category.CYCLE_WITHOUT_RUN),
)


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=str)
async def test_a_corrupted_document_is_reported(busy: World, corruption: Corruption) -> None:
    collection = busy.services[corruption.service].database[corruption.collection]
    async with corrupted(collection, corruption):
        found = (await findings_of(busy)).counts
    assert corruption.expected <= found.keys()


@asynccontextmanager
async def corrupted(collection: AsyncCollection, corruption: Corruption) -> AsyncIterator[None]:
    before = await collection.find_one(dict(corruption.query), sort=[("_id", 1)])
    assert before is not None, f"nothing to corrupt: {corruption}"
    after = await collection.find_one({"_id": before["_id"]})
    assert after is not None
    if corruption.change is None:
        await collection.delete_one({"_id": before["_id"]})
    else:
        corruption.change(after)
        await collection.replace_one({"_id": before["_id"]}, after)
    try:
        yield
    finally:
        await collection.replace_one({"_id": before["_id"]}, before, upsert=True)


async def test_nothing_differs_any_more_once_all_of_it_is_restored(busy: World) -> None:
    assert (await findings_of(busy)).differences == []


class _Interrupted(Exception):
    """The process ends."""


class _OneStep(AuditCourse):
    """The course of a process that ends when its second step begins."""

    begun: tuple[str, ...] = ()

    def begin(self, subject: Subject, expected_count: int, findings: Findings) -> None:
        if self.begun:
            raise _Interrupted
        self.begun = (subject.name,)
        super().begin(subject, expected_count, findings)


async def test_an_audit_that_is_interrupted_in_every_step_does_none_of_them_twice(busy: World, tmp_path: Path) -> None:
    names = [subject.name for subject in subjects(busy.settings, BOOKS, RUNS_DUE_AT)]
    begun: list[str] = []
    async with corrupted(busy.services["invoicing"].database["numbers"], corruption("invoicing.numbers", {}, add("last", 1))):
        whole = await findings_of(busy)
        for number in range(len(names)):
            course = _OneStep(Console(quiet=True), tmp_path / "audit.json", "this system", resume=number > 0)
            with suppress(_Interrupted):
                found = await findings_of(busy, course=course)
            begun += course.begun
    assert begun == names
    assert found.as_json() == whole.as_json()
    assert whole.counts == {Category.BILL_NUMBER: 1}


async def test_the_command_tells_it_to_machines_and_fails_when_anything_differs(busy: World) -> None:
    as_of = ("--as-of", f"{RUNS_DUE_AT:%Y-%m-%d}")
    clean = await run_tarifa(busy.settings, "audit", "--json", *as_of)
    assert (clean.exit_code, clean.json["clean"], clean.json["differences"]) == (0, True, [])
    assert "auditing charges" in clean.err
    numbers = busy.services["invoicing"].database["numbers"]
    async with corrupted(numbers, corruption("invoicing.numbers", {}, add("last", 1), Category.BILL_NUMBER)):
        wrong = await run_tarifa(busy.settings, "audit", "--json", *as_of)
        shown = await run_tarifa(busy.settings, "audit", *as_of)
    assert (wrong.exit_code, wrong.json["difference_counts"]) == (1, {"bill-number": 1})
    (difference,) = wrong.json["differences"]
    assert (difference["expected"], difference["found"]) == ("counter at 2, the last number given", "3")
    assert (shown.exit_code, "1 differences" in shown.err, "bill-number" in shown.out) == (1, True, True)


async def test_a_cycle_that_no_run_bills_is_reported_once_its_run_is_due(busy: World) -> None:
    forgotten = {"billStructure": {"cycleSpecification": {"name": "forgotten"}}}
    names = [await busy.customer(f"Of a cycle {number}", **forgotten) for number in range(2)]
    await busy.customer("Without usage", **forgotten)
    assert (await findings_of(busy)).differences == []
    for customer in names:
        await customer.calls(at="2026-03-31 23:00", seconds=60)
    await busy.settle()
    due_from = datetime(2026, 4, 16, tzinfo=UTC)
    assert (await findings_of(busy, due_from - timedelta(seconds=1))).differences == []
    (difference,) = (await findings_of(busy, due_from)).differences
    ids = ", ".join(sorted(customer.account_id for customer in names))
    assert (difference.category, difference.id) == (Category.CYCLE_WITHOUT_RUN, "forgotten")
    assert "tarifa bill-run --cycle forgotten --period 2026-03" in difference.expected
    assert difference.found == f"no run ever; 2 accounts have unbilled charges or fees: {ids}"

    await busy.bill_run("2026-03", cycle="forgotten")
    assert (await findings_of(busy, due_from)).differences == []

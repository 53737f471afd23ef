"""Every fact, mutated, against every handler: refused by its type, parked with a reason, or handled, and no error of another kind.

A fixed seed and some hundred mutations for each pair; the environment variable MUTATIONS asks for more.
"""

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.contracts import (
    BillDocumentRequested,
    BillPreviewRequested,
    BillRunRequested,
    BillState,
    ChargesPreviewed,
    Fact,
    MalformedFact,
    OnDemandBillRequested,
    ParkedRetryRequested,
    RerateRequested,
    RunType,
    SubscriptionChanged,
    SuspenseDiscardRequested,
    SuspenseRetryRequested,
    TariffPublished,
)
from libs.periods import calendar_month
from libs.runtime import Batch, RuntimeSettings, Service, Unprocessable
from libs.runtime.failures import is_infrastructure
from libs.runtime.lag import SERVICES
from libs.runtime.subscription import Handler, handler_name, subscribed_facts
from tests import rating_world
from tests.closings import asks, closed, on_demand
from tests.contracts.test_fact_examples import EXAMPLES
from tests.mutations import mutated
from tests.outcomes import account, bill_of, issued, parked, refused, skipped
from tests.world import build_service

MUTATIONS = int(os.environ.get("MUTATIONS", "60"))
BATCH_SIZE = 25
AT = datetime(2026, 4, 2, 8, tzinfo=UTC)
BILL = bill_of(closed("ada", "10.00", "2.50"))


def story() -> list[Fact]:
    """Facts of one account that fit together, so that a mutated one meets what is there already."""
    caller = "+12125550001"
    march = calendar_month("2026-03", rating_world.ZONE)
    book = Path("deploy/rate-books/churn.yaml").read_text()
    return [
        account("ada"),
        rating_world.account("eva"),
        rating_world.product("eva-line", "eva", rating_world.number(caller)),
        TariffPublished.of("churn", book, AT),
        rating_world.call("u1", caller),
        rating_world.call("u2", "+12125550002"),
        SuspenseRetryRequested(id="retry-1"),
        SuspenseDiscardRequested(id="discard-1", suspense_id="rejected:1", note="wrong"),
        RerateRequested(id="rerate-1", account_id="eva", period=march, requested_at=AT),
        rating_world.cut("monthly:2026-03|eva", "eva"),
        rating_world.cut_now("on-demand|r0", "eva"),
        closed("ada", "10.00", "2.50"),
        on_demand("ada", "1.00", request_id="on-demand|r1"),
        BILL,
        asks("state-1", BILL.id, BillState.VALIDATED),
        BillDocumentRequested(id="document-1", bill_id=BILL.id, account_id="ada", requested_at=AT),
        OnDemandBillRequested(id="r1", account_id="ada", requested_at=AT),
        BillPreviewRequested(id="preview-1", account_id="eva", requested_at=AT),
        ChargesPreviewed(id="preview-2", account_id="ada", charges=on_demand("ada", "1.00", request_id="preview-2")),
        issued("ada", "r1", RunType.OFF_CYCLE),
        BillRunRequested(id="monthly:2026-03", cycle="monthly", period="2026-03", requested_at=AT),
        issued("ada", "monthly:2026-03", RunType.ON_CYCLE),
        skipped("ada", "monthly:2026-03", RunType.ON_CYCLE),
        parked("ada", "monthly:2026-03", RunType.ON_CYCLE),
        refused("ada", "r1", RunType.OFF_CYCLE),
        SubscriptionChanged(id="hub-1", api="TMF678", callback="https://127.0.0.1:9/hook", changed_at=AT),
        ParkedRetryRequested(id="again-1", service="nobody", parked_id="p", requested_at=AT),
    ]


def examples_of(fact: type[Fact]) -> list[Fact]:
    """The released examples of a fact."""
    return [fact.from_message(path.read_bytes()) for path in sorted((EXAMPLES / fact.topic).glob("*.json"))]


class Trial:
    """One handler under mutated facts, and what became of them."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.name = handler_name(handler)
        self.outcomes: Counter[str] = Counter()
        self.failures: list[str] = []

    async def feed(self, facts: Sequence[Fact]) -> None:
        """Handle facts as the runtime does: a batch, and one by one when it fails."""
        try:
            answers = await self.handler(Batch(list(facts), [], AT))
        except Exception as error:  # noqa: BLE001 -- what a handler may raise is the question
            if len(facts) > 1:
                for fact in facts:
                    await self.feed([fact])
                return
            if isinstance(error, Unprocessable):
                self.outcomes["parked"] += 1
                return
            self._blame(facts[0], f"{type(error).__name__}: {str(error)[:300]}{' (infrastructure)' * is_infrastructure(error)}")
            return
        self.outcomes["handled"] += len(facts)
        for answer in answers:
            self._read_back(answer, facts)

    def _read_back(self, answer: Fact, causes: Sequence[Fact]) -> None:
        try:
            type(answer).from_message(answer.to_message())
        except (MalformedFact, ValueError, TypeError) as error:
            self._blame(causes[0], f"it publishes a {type(answer).__name__} that nobody can read: {str(error)[:300]}")

    def _blame(self, fact: Fact, reason: str) -> None:
        self.failures.append(f"{self.name} <- {type(fact).__name__}: {reason}\n    {fact.to_message()[:1500]!r}")


def handlers_of(service: Service) -> list[Handler]:
    """The handlers of a service with what they need."""
    found = {consumer.subscription.name: consumer.subscription._handler for consumer in service._consumers}
    return list(found.values())


@pytest.fixture
async def service(request: pytest.FixtureRequest, settings: RuntimeSettings) -> AsyncIterator[Service]:
    built = build_service(request.param, settings)
    async with built.running():
        yield built


@pytest.mark.parametrize("service", SERVICES, indirect=True)
async def test_no_mutated_fact_blocks_a_handler(service: Service) -> None:
    chance = random.Random(f"{service.name} 2026")
    trials = [Trial(handler) for handler in handlers_of(service)]
    told = story()
    for trial in trials:
        for fact in told:
            if type(fact) in subscribed_facts(trial.handler):
                await trial.feed([fact])
    for trial in trials:
        for fact in subscribed_facts(trial.handler):
            bases = [one for one in told if type(one) is fact] + examples_of(fact)
            messages = [mutated(chance.choice(bases).to_message(), chance) for _ in range(MUTATIONS)]
            batch: list[Fact] = []
            for message in messages:
                try:
                    batch.append(fact.from_message(message))
                except MalformedFact:
                    trial.outcomes["malformed"] += 1
                if len(batch) == BATCH_SIZE:
                    await trial.feed(batch)
                    batch = []
            if batch:
                await trial.feed(batch)
    assert all(trial.outcomes["handled"] + trial.outcomes["parked"] for trial in trials), "a handler was given nothing that it can read"
    failures = [failure for trial in trials for failure in trial.failures]
    assert not failures, f"{len(failures)} messages would have blocked a handler:\n" + "\n".join(failures[:20])

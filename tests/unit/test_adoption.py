"""What a restored service makes of what it had published, and what the audit says of published bills."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from libs.audit.domain.published import check_published
from libs.contracts import BillRunChanged, BillRunCounts, BillRunState, Fact, RunType, all_facts
from libs.contracts.retention import Retention, retention_of
from libs.runtime import RuntimeSettings
from libs.runtime.topics import topic_config
from services.invoicing.domain.series import bill_numbers, sequence_of
from services.operations.domain.adopted_run import adopted_run
from services.operations.domain.run_account import AccountOutcome
from tests.outcomes import issued

NOW = datetime(2026, 4, 2, tzinfo=UTC)
STARTED_AT = datetime(2026, 4, 1, tzinfo=UTC)
BILLED, SKIPPED, PARKED = AccountOutcome.BILLED, AccountOutcome.SKIPPED, AccountOutcome.PARKED
RUNNING, COMPLETED = BillRunState.RUNNING, BillRunState.COMPLETED


def run(accounts: int, state: BillRunState) -> BillRunChanged:
    counts = BillRunCounts(accounts=accounts)
    completed_at = STARTED_AT if state is COMPLETED else None
    id = "monthly:2026-03"
    return BillRunChanged(
        id=id, cycle="monthly", period="2026-03", state=state, counts=counts, started_at=STARTED_AT, completed_at=completed_at, revision=7
    )


@pytest.mark.parametrize(
    ("told", "counted", "state", "completed_at"),
    [
        (RUNNING, {(None, None): 3}, RUNNING, None),
        (RUNNING, {(None, None): 1, (BILLED, "EUR"): 2}, RUNNING, None),
        (RUNNING, {(BILLED, "EUR"): 1, (SKIPPED, None): 1, (PARKED, None): 1}, COMPLETED, NOW),
        (COMPLETED, {(BILLED, "EUR"): 1, (BILLED, "USD"): 1, (SKIPPED, None): 1}, COMPLETED, STARTED_AT),
        # Not all of its cuts are there any more: it cannot be called complete.
        (COMPLETED, {(BILLED, "EUR"): 2}, RUNNING, None),
    ],
)
def test_a_run_is_as_far_as_its_accounts(told: BillRunState, counted: dict, state: BillRunState, completed_at: datetime | None):
    amounts = {of: (count, Decimal(10) * count if of[1] else Decimal(0)) for of, count in counted.items()}

    adopted = adopted_run(run(3, told), amounts, 2, NOW)

    assert (adopted.state, adopted.completed_at, adopted.revision, adopted.counts.fees_not_charged) == (state, completed_at, 7, 2)
    assert adopted.counts.billed == sum(count for (outcome, _), count in counted.items() if outcome is BILLED)
    assert adopted.counts.amounts == {of[1]: amounts[of][1] for of in counted if of[0] is BILLED}


@pytest.mark.parametrize("series", ["2026", "ES-2026-C", "A"])
@pytest.mark.parametrize("last", [1, 99_999_999, 123_456_789_012])
def test_a_number_tells_its_place_in_its_series(series: str, last: int):
    (number,) = bill_numbers(series, last, 1)

    assert sequence_of(number) == (series, last)


@pytest.mark.parametrize("number", ["", "2026", "2026-", "2026-1a", "2026-١"])
def test_what_is_no_number_has_no_place(number: str):
    with pytest.raises(ValueError, match="no number of a series"):
        sequence_of(number)


@pytest.mark.parametrize(
    ("stored", "differs"),
    [
        ({}, False),
        ({"bill_no": "2026-00000009"}, True),
        ({"tax_included_amount": Decimal("0.01")}, True),
        ({"currency": "XXX"}, True),
        ({"account_id": "somebody"}, True),
        (None, True),
    ],
)
def test_the_audit_tells_a_bill_that_was_published_otherwise(stored: dict | None, differs: bool):
    published = issued("ada", "run", RunType.ON_CYCLE)
    as_stored = None if stored is None else {**published.model_dump(), **stored}

    assert bool(list(check_published(published, as_stored))) == differs


@pytest.mark.parametrize("fact", list(all_facts()), ids=lambda fact: fact.topic)
def test_a_topic_is_compacted_only_where_its_key_is_its_id(fact: type[Fact]):
    settings = RuntimeSettings()
    config = topic_config(fact, settings)

    compacts = config["cleanup.policy"] == "compact"

    assert compacts == (retention_of(fact) is Retention.STATE)
    assert not compacts or fact.key_field == "id"
    if not compacts and config["retention.ms"] != "-1":
        outlasts_backups = int(config["retention.ms"]) > settings.backup_interval_days_max * 86_400_000
        assert outlasts_backups == (retention_of(fact) is not Retention.TRANSIENT)


def test_no_service_adopts_what_is_kept_shorter_than_the_time_between_backups():
    adopted = {name for path in Path("services").rglob("*.py") for name in re.findall(r"published\.read\((\w+)", path.read_text("utf-8"))}
    transient = {fact.__name__ for fact in all_facts() if retention_of(fact) is Retention.TRANSIENT}

    assert adopted
    assert not adopted & transient


def test_a_retention_shorter_than_the_time_between_backups_is_refused():
    with pytest.raises(ValueError, match="back up more often"):
        RuntimeSettings(topic_fact_retention_days=14)

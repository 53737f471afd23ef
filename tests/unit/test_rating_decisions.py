"""What rating decides, with no infrastructure: repeats, ids, sums, months, cuts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import bson
import msgspec
import pytest
from bson.decimal128 import Decimal128

from libs.contracts import Charge, ChargeKind, ChargeState, UsageRated, UsageReceived, UsageRejected
from libs.periods import Period, calendar_month
from libs.pricing import RateBooks, load_rate_books
from libs.runtime.publisher import partition_of
from services.rating.documents import earlier_answer, rated_document
from services.rating.domain.accumulation import accumulate
from services.rating.domain.charge_ids import recurring_charge_id, usage_charge_id
from services.rating.domain.cuts import AccountToCut, Closing, close, decide_cut, one_per_account
from services.rating.domain.deciding import Decisions, Earlier, Rater, decide
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from services.rating.domain.months import BillingMonths
from services.rating.domain.retrying import retry
from services.rating.domain.suspense import Suspended
from services.rating.store import INSERTED_AT_A_TIME, INSERTED_WITH_CHARACTERISTICS_AT_A_TIME
from tests.rating_world import ZONE, call, cut, cut_now

NOW = datetime(2026, 4, 1, tzinfo=UTC)
ADA = "+12125550001"
PRODUCT = Product("line", "ada", "churn-plan", "Churn plan", "active", datetime(2024, 1, 1, tzinfo=UTC))
BOOKS = load_rate_books(Path("deploy/rate-books"))
LIMITS = UsageLimits(timedelta(hours=1), timedelta(days=365))
LONGEST_ID = "\N{TELEPHONE RECEIVER}" * 256
ALL_CHARACTERISTICS = {LONGEST_ID[2:] + f"{number:02}": LONGEST_ID for number in range(64)}


def rater(**cuts: int) -> Rater:
    account = Account("ada", "USD", ZONE, {label.replace("_", "-").removeprefix("m"): count for label, count in cuts.items()})
    return Rater(Holdings({ADA: (Holding.of(PRODUCT, PRODUCT.started_at, None),)}, {"ada": account}), BOOKS, LIMITS, NOW)


def test_a_decided_usage_is_answered_as_before_and_not_decided_again() -> None:
    usage = call("u-1", ADA)
    (first,) = decide([usage], {}, rater()).answers
    again = decide([usage, usage], {"u-1": Earlier(usage, first)}, rater(m2026_03_01=1))
    assert again == Decisions(answers=[first, first])


def test_a_repeat_within_a_batch_is_decided_once() -> None:
    decisions = decide([call("u-1", ADA), call("u-1", ADA), call("u-1", ADA, seconds=61)], {}, rater())
    assert (len(decisions.rated), len(decisions.conflicting), len(decisions.answers)) == (1, 1, 3)


def test_cuts_made_before_give_the_next_sequence() -> None:
    (rated,) = decide([call("u-1", ADA)], {}, rater(m2026_03_01=2)).rated
    assert (rated.charge.sequence, rated.charge.id) == (2, "ada|line|voice-day|2026-03-01|2")


def test_a_fact_of_checked_parts_comes_through_a_message_unchanged() -> None:
    decisions = decide([call("u-1", ADA, seconds=Decimal("12.5"))], {}, rater())
    (fact,) = decisions.answers
    assert isinstance(fact, UsageRated)
    assert UsageRated.from_message(fact.to_message()) == fact


def test_a_stored_usage_repeats_its_answer() -> None:
    decisions = decide([call("u-1", ADA, seconds=Decimal("12.5"))], {}, rater())
    stored = {
        name: value.to_decimal() if isinstance(value, Decimal128) else value for name, value in rated_document(decisions.rated[0]).items()
    }
    assert earlier_answer(stored).answer == decisions.answers[0]


@pytest.mark.parametrize(
    ("characteristics", "inserted_at_a_time"),
    [({}, INSERTED_AT_A_TIME), (ALL_CHARACTERISTICS, INSERTED_WITH_CHARACTERISTICS_AT_A_TIME)],
)
def test_the_longest_usages_fit_into_a_message_to_mongodb(characteristics: dict[str, str], inserted_at_a_time: int) -> None:
    (rated,) = decide([call("u-1", ADA, seconds=Decimal("12.5"))], {}, rater()).rated
    ids = dict.fromkeys(("id", "identifier", "usage_type", "unit"), LONGEST_ID)
    usage = msgspec.structs.replace(rated.usage, **ids, called_number=LONGEST_ID[:64], characteristics=characteristics)
    charge = replace(
        rated.charge,
        id=LONGEST_ID,
        account=replace(rated.charge.account, id=LONGEST_ID),
        product=replace(rated.charge.product, id=LONGEST_ID),
        price=replace(rated.charge.price, price_id=LONGEST_ID, rate_book=LONGEST_ID),
    )
    document = rated_document(msgspec.structs.replace(rated, usage=UsageReceived.from_message(usage.to_message()), charge=charge))
    assert len(bson.encode(document)) * inserted_at_a_time < 47_000_000


def test_sums_are_exact_beyond_the_digits_of_ordinary_decimals() -> None:
    (rated,) = decide([call("a", ADA)], {}, rater()).rated
    parts = (Decimal("0.000000001"), Decimal(10) ** 20)
    usages = [
        msgspec.structs.replace(rated, priced=msgspec.structs.replace(rated.priced, charged_quantity=part, numerator=10**28 + 1))
        for part in parts
    ]
    (increment,) = accumulate(usages).values()
    assert increment.quantity == Decimal("100000000000000000000.000000001")
    assert increment.sums == {6000: 2 * 10**28 + 2}


def test_ids_that_contain_the_separator_never_meet() -> None:
    assert usage_charge_id("a|b", "c", "p", "m", 0) != usage_charge_id("a", "b|c", "p", "m", 0)
    assert usage_charge_id("a", "b", "p", "m", 0) != recurring_charge_id("a", "b", "p", "m")
    assert len(usage_charge_id("a" * 256, "b" * 256, "p", "m", 0)) <= 256


def test_a_month_is_that_of_the_account_across_daylight_saving() -> None:
    months = BillingMonths()
    last = months.containing(datetime(2026, 4, 1, 3, 59, 59, tzinfo=UTC), ZONE)
    first = months.containing(datetime(2026, 4, 1, 4, tzinfo=UTC), ZONE)
    assert (last.label, last.end - last.start) == ("2026-03-01", timedelta(days=31, hours=-1))
    assert first.label == "2026-04-01"


def charge(id: str, month: str, sums: dict[str, Decimal]) -> Charge:
    return Charge(
        id=id,
        account_id="ada",
        product_id="line",
        product_name="Line",
        offering_id="churn-plan",
        price_id=id,
        kind=ChargeKind.USAGE,
        description=id,
        currency="USD",
        period=calendar_month(month, ZONE),
        sequence=0,
        sums=sums,
        updated_at=NOW,
    )


ACCOUNT = Account("ada", "USD", ZONE)


def test_a_cut_rounds_each_charge_once_half_up() -> None:
    half = {"6000": Decimal(104550)}
    closing = close(
        cut("c", "ada"), ACCOUNT, [charge("x", "2026-03", half), charge("y", "2026-03", {"3": Decimal(1), "6": Decimal(1)})], [], NOW
    )
    assert [line.amount for line in closing.answer.lines] == [Decimal("17.43"), Decimal("0.50")]
    assert {closed.state for closed in closing.closed} == {ChargeState.CLOSED}


def test_a_cut_counts_for_its_own_month_and_for_those_whose_charges_it_closes() -> None:
    to_cut = AccountToCut(ACCOUNT, [charge("x", "2026-02", {}), charge("y", "2026-04", {})], [])
    closing = decide_cut(to_cut, cut("c", "ada"), RateBooks([]), NOW)
    assert isinstance(closing, Closing)
    assert ([line.charge_id for line in closing.answer.lines], closing.month_labels) == (["x"], {"2026-02-01", "2026-03-01"})


def test_a_cut_on_demand_that_finds_nothing_still_names_a_period() -> None:
    at_midnight = calendar_month("2026-03", ZONE).start
    closing = close(cut_now("c", "ada", at_midnight), ACCOUNT, [], [], NOW)
    assert (closing.answer.period, closing.month_labels) == (calendar_month("2026-03", ZONE), frozenset())
    later = close(cut_now("c", "ada", at_midnight + timedelta(days=3)), ACCOUNT, [], [], NOW)
    assert later.answer.period == Period(start=at_midnight, end=at_midnight + timedelta(days=3))


def test_cuts_of_one_account_are_made_one_after_the_other() -> None:
    first, second, other = cut("1", "ada"), cut_now("2", "ada"), cut("3", "bob")
    assert one_per_account([first, second, other, first]) == [[first, other], [second]]


def test_a_retry_leaves_alone_what_another_usage_of_that_id_stands_for() -> None:
    usage, other = call("u-1", ADA), call("u-1", ADA, seconds=1)
    (answer,) = decide([other], {}, rater()).answers
    entry = Suspended("duplicate:1", "duplicate-id", "", usage)
    retries = retry([entry], {"u-1": Earlier(other, answer)}, rater())
    assert (list(retries.rated), list(retries.rejected), retries.rated_count) == ([], ["duplicate:1"], 0)
    assert isinstance(retries.answers[0], UsageRejected)


def test_messages_go_where_every_kafka_client_puts_their_key() -> None:
    # The reference values are those of the Java client's own test of murmur2.
    assert partition_of(b"21", 2**31) == -973932308 & 0x7FFFFFFF
    assert partition_of(b"foobar", 2**31) == -790332482 & 0x7FFFFFFF

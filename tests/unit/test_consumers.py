"""What readiness hears of consumers between the batches."""

import logging
from types import SimpleNamespace

from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import CommitFailedError, KafkaConnectionError, KafkaError

from libs.runtime.consumers import ConsumerLog, GroupPlace
from libs.runtime.subscription import BatchFailed

ABOUT = {"topic": "bill.issued.v1", "group_id": "ledger.post_bills", "message_id": ""}


def test_a_poll_that_failed_is_a_fault_of_its_consumer() -> None:
    log = ConsumerLog()
    log.log(logging.ERROR, "Kafka error occurred", exc_info=ConnectionError("gone"), extra=ABOUT)
    assert log.faults() == {"ledger.post_bills": "ConnectionError('gone')"}


def test_a_consumer_without_a_group_is_named_by_its_topic() -> None:
    log = ConsumerLog()
    log.log(logging.ERROR, "Kafka error occurred", exc_info=ConnectionError("gone"), extra={**ABOUT, "group_id": ""})
    assert list(log.faults()) == ["bill.issued.v1"]


async def test_a_consumer_whose_coordination_ended_is_lost_and_others_are_not() -> None:
    lost: list[str] = []
    log = ConsumerLog(lost.append)
    for error in (KafkaConnectionError("gone"), CommitFailedError("rebalanced"), BatchFailed("post_bills")):
        log.log(logging.ERROR, "Kafka error occurred", exc_info=error)
    assert lost == []
    log.log(logging.ERROR, "Kafka error occurred", exc_info=await ended_coordination())
    assert len(lost) == 1
    assert "KeyError('unforeseen')" in lost[0]


async def ended_coordination() -> KafkaError:
    """The error of aiokafka itself, where its task meets what it does not expect."""
    coordinator = object.__new__(GroupCoordinator)
    coordinator._subscription = SimpleNamespace(abort_waiters=lambda error: None)
    coordinator._GroupCoordinator__coordination_routine = unforeseen
    try:
        await coordinator._coordination_routine()
    except KafkaError as error:
        return error
    raise AssertionError("the coordination did not end")


async def unforeseen() -> None:
    raise KeyError("unforeseen")


def test_progress_and_failed_batches_are_no_faults() -> None:
    log = ConsumerLog()
    log.log(logging.INFO, "Received", extra=ABOUT)
    log.log(logging.ERROR, "BatchFailed: post_bills", exc_info=BatchFailed("post_bills"), extra=ABOUT)
    assert log.faults() == {}


async def test_a_place_is_taken_even_without_partitions_and_lost_while_the_group_is_divided_anew() -> None:
    place = GroupPlace(lambda partitions: None)
    assert not place.is_taken
    await place.on_partitions_assigned(set())
    assert place.is_taken
    await place.on_partitions_revoked(set())
    assert not place.is_taken

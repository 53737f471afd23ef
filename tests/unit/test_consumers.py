"""What readiness hears of consumers between the batches."""

import logging

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

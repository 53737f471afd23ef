"""What logs leave out: the same complaint of a library, over and over."""

import logging

from libs.runtime.logs import Seldom


def line(name: str, message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, arguments, None)


def test_a_repeated_complaint_is_told_once_whatever_its_arguments() -> None:
    seldom = Seldom("aiokafka")
    assert seldom.filter(line("aiokafka", "cannot connect to %s", 1))
    assert not seldom.filter(line("aiokafka", "cannot connect to %s", 2))


def test_different_complaints_are_all_told() -> None:
    seldom = Seldom("aiokafka")
    assert seldom.filter(line("aiokafka.consumer", "cannot connect to %s", 1))
    assert seldom.filter(line("aiokafka.producer", "cannot connect to %s", 1))
    assert seldom.filter(line("aiokafka.consumer", "cannot fetch from %s", 1))


def test_our_own_lines_are_all_told() -> None:
    seldom = Seldom("aiokafka")
    assert seldom.filter(line("libs.runtime.service", "batch failed"))
    assert seldom.filter(line("libs.runtime.service", "batch failed"))

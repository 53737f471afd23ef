"""What a usage message may be: read by msgspec, and as strict as any fact."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.contracts import MalformedFact, UsageReceived, UsageRejected
from libs.contracts.usage import RejectionReason

GOOD = '"id":"u","identifier":"+1","usage_type":"voice","unit":"s"'
AT = '"started_at":"2026-03-02T10:00:00Z"'


def body(rest: str) -> bytes:
    return f"{{{GOOD},{rest}}}".encode()


@pytest.mark.parametrize(
    ("quantity", "read"),
    [
        ("60", Decimal(60)),
        ('"60.5"', Decimal("60.5")),
        ("0.1", Decimal("0.1")),
        ("123456789012345678901234567890.1234", Decimal("123456789012345678901234567890.1234")),
        ("1e30", Decimal("1e30")),
        ("-1", Decimal(-1)),
    ],
)
def test_a_quantity_is_read_digit_by_digit(quantity: str, read: Decimal) -> None:
    assert UsageReceived.from_message(body(f'{AT},"quantity":{quantity}')).quantity == read


@pytest.mark.parametrize(
    "rest",
    [
        f'{AT},"quantity":"NaN"',
        f'{AT},"quantity":"Infinity"',
        f'{AT},"quantity":NaN',
        f'{AT},"quantity":"1_000"',
        f'{AT},"quantity":"١٢٣"',
        f'{AT},"quantity":"１２"',
        f'{AT},"quantity":" 5"',
        f'{AT},"quantity":""',
        f'{AT},"quantity":"1e400"',
        f'{AT},"quantity":1e400',
        f'{AT},"quantity":1e-999999999',
        f'{AT},"quantity":1{"0" * 34}',
        f'{AT},"quantity":true',
        f'{AT},"quantity":null',
        f"{AT}",
        '"quantity":1',
        '"quantity":1,"started_at":"2026-03-02T10:00:00"',
        '"quantity":1,"started_at":"0001-01-01T00:00:00+14:00"',
        '"quantity":1,"started_at":"yesterday"',
        '"quantity":1,"started_at":1772445600',
        f'{AT},"quantity":1,"id":""',
        f'{AT},"quantity":1,"id":"{"x" * 257}"',
        f'{AT},"quantity":1,"id":7',
        f'{AT},"quantity":1,"id":"a\\u0000b"',
        f'{AT},"quantity":1,"characteristics":{{"a":"\\u0000"}}',
        f'{AT},"quantity":1,"characteristics":{{"a":1}}',
        f'{AT},"quantity":1,"characteristics":{json.dumps(dict.fromkeys(map(str, range(65)), ""))}',
        f'{AT},"quantity":1,"called_number":"{"1" * 65}"',
        f'{AT},"quantity":1,"id":"\\ud800"',
        f'{AT},"quantity":1,"more":{"[" * 100_000}',
    ],
)
def test_what_is_no_usage_is_malformed(rest: str) -> None:
    with pytest.raises(MalformedFact):
        UsageReceived.from_message(body(rest))


@pytest.mark.parametrize("message", [b"", b"null", b"[]", b"{", b'"usage"', body(f'{AT},"quantity":1').replace(b"voice", b"voi\xffce")])
def test_what_is_no_json_object_is_malformed(message: bytes) -> None:
    with pytest.raises(MalformedFact):
        UsageReceived.from_message(message)


def test_a_backslash_before_u0000_is_text() -> None:
    assert UsageReceived.from_message(body(f'{AT},"quantity":1,"called_number":"\\\\u0000"')).called_number == "\\u0000"


def test_an_instant_is_kept_in_utc_to_the_millisecond() -> None:
    read = UsageReceived.from_message(body('"quantity":1,"started_at":"2026-03-02T10:00:00.123456+02:00"'))
    assert read.started_at == datetime(2026, 3, 2, 8, 0, 0, 123_000, tzinfo=UTC)
    assert read.started_at.tzinfo is UTC


def test_a_rejection_carries_its_usage_through_a_message() -> None:
    usage = UsageReceived.from_message(body(f'{AT},"quantity":"60.5","characteristics":{{"cell":"7"}}'))
    rejected = UsageRejected(suspense_id="u", usage_id="u", reason=RejectionReason.NO_PRICE, detail="none", usage=usage)
    assert UsageRejected.from_message(rejected.to_message()) == rejected

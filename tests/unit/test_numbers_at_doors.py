"""The one rule about numbers: what a door takes, every reader can read and MongoDB can keep."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.exact_decimal import AMOUNT, ENTERED, KEPT, MONEY_ENTERED, DecimalBounds, InvalidDecimal, parse_decimal
from libs.exact_json import InvalidJson, read_json, write_json
from libs.hub_query import parse_hub_query
from libs.runtime.exact_numbers import decimal128
from services.tmf_gateway.domain.body import parse_object
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.tmf666 import SCHEMA

INT64_MAX = 2**63 - 1
TOO_LARGE = ("1e19", "1e18", "1e30", "1e400", "1e6144", "1e999999999", "1" + "0" * 18, "-1e18", "9" * 5000, "1" + "0" * 18 + ".5")
TOO_FINE = ("1e-19", "1e-5999", "1e-999999999", "0." + "0" * 18 + "1", "0e-400")
NO_NUMBERS = (
    "1_000",
    "١٢٣",
    "１２",
    "0x1F",
    "",
    " 5",
    "5 ",
    "1,5",
    "--1",
    "1e",
    "e5",
    ".",
    "NaN",
    "Infinity",
    "sNaN",
    "1e1_0",
    "²",
)


@pytest.mark.parametrize("written", [*TOO_LARGE, *TOO_FINE])
def test_a_number_with_too_many_digits_is_refused_by_the_name_of_its_attribute(written: str):
    with pytest.raises(BadRequest, match=r"^creditLimit\.value: .* (more than (18 digits|100 characters)|is not a number)"):
        parse_object(f'{{"name": "x", "creditLimit": {{"unit": "EUR", "value": {written}}}}}'.encode())
    with pytest.raises(BadRequest, match=r"^a\[1\]\.b: "):
        parse_object(f'{{"a": [1, {{"b": {written}}}]}}'.encode())


@pytest.mark.parametrize("written", ["1e18", "1e19", "-1e400", "1" + "0" * 18])
def test_a_number_under_a_name_that_comes_again_is_refused_as_well(written: str):
    with pytest.raises(BadRequest, match="digits"):
        parse_object(f'{{"a": {written}, "a": 1}}'.encode())


@pytest.mark.parametrize("value", ["1" + "0" * 15, "0.0000000000001", "1e15", "1e-13", "-1e15"])
def test_money_is_narrower(value: str):
    body = read_json(f'{{"name": "x", "creditLimit": {{"unit": "EUR", "value": {value}}}}}')
    with pytest.raises(BadRequest, match=r"creditLimit\.value: .* more than 1[25] digits"):
        SCHEMA.conform("BillingAccount", body, required=False)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_only_ascii_digits_are_a_number(text: str):
    with pytest.raises(InvalidDecimal, match="is not a number"):
        parse_decimal(text, KEPT)


@pytest.mark.parametrize(
    ("text", "value"), [("12", "12"), ("-0.085", "-0.085"), ("+5", "5"), ("1e3", "1E+3"), ("5.", "5"), (".5", "0.5"), ("0e-9", "0E-9")]
)
def test_numbers_keep_their_digits(text: str, value: str):
    assert str(parse_decimal(text, KEPT)) == value


@given(
    st.sampled_from([ENTERED, MONEY_ENTERED, AMOUNT, KEPT]),
    st.decimals(allow_nan=False, allow_infinity=False)
    | st.builds(
        lambda digits, exponent: Decimal((0, tuple(map(int, str(digits))), exponent)), st.integers(0, 10**40), st.integers(-50, 50)
    ),
)
def test_what_is_within_bounds_is_kept_and_read_by_everybody(bounds: DecimalBounds, number: Decimal):
    try:
        bounds.check(number)
    except InvalidDecimal:
        return
    told = read_json(write_json(number), KEPT)
    assert told == number
    assert not isinstance(told, int) or abs(told) <= INT64_MAX
    if bounds is not ENTERED:
        assert decimal128(number).to_decimal() == number


def test_eighteen_digits_on_either_side_fit():
    assert read_json("999999999999999999") == 10**18 - 1
    assert read_json("[-999999999999999999, 0.000000000000000001]") == [1 - 10**18, Decimal("1e-18")]


def test_a_larger_number_of_ours_is_read_as_a_decimal():
    number = 10**33 + 1
    assert read_json(str(number), KEPT) == Decimal(number)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (rb'{"a": {"b": "\ud800"}}', "a.b holds half of a surrogate pair"),
        (b'{"a": "\xed\xa0\x80"}', "utf-8"),
        (rb'{"\ud800": 1}', "surrogate"),
        (rb'{"a": ["x\u0000"]}', r"a\[0\] holds a NUL character"),
        (b"[" * 70 + b"]" * 70, "nested deeper"),
        (b"[" * 100_000, "JSON|deep|recursion"),
        (b"NaN", "NaN is not JSON"),
    ],
)
def test_what_cannot_be_written_again_is_not_read(body: bytes, told: str):
    with pytest.raises(InvalidJson, match=told):
        read_json(body)


def test_a_filter_of_the_hub_takes_the_same_numbers():
    wants = {
        text: parse_hub_query(f"event.bill.amount={text}").wants("E", {"event": {"bill": {"amount": Decimal(1000)}}})
        for text in ("1000", "1e3", "1_000", "١٠٠٠")
    }
    assert wants == {"1000": True, "1e3": True, "1_000": False, "١٠٠٠": False}

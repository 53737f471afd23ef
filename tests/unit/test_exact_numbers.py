"""Decimals on their way to MongoDB: every bit as the driver would set it."""

from decimal import Decimal, Inexact

import pytest
from bson.decimal128 import Decimal128
from hypothesis import example, given
from hypothesis import strategies as st

from libs.runtime.exact_numbers import decimal128

ANY_DECIMAL = st.builds(
    lambda sign, coefficient, exponent: Decimal((sign, tuple(map(int, str(coefficient))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**34 - 1) | st.integers(0, 10**9),
    st.integers(-6176, 6111) | st.integers(-9, 9),
)


@given(ANY_DECIMAL)
@example(Decimal("-0.00"))
@example(Decimal(2**64))
@example(Decimal("0.18446744073709551616"))
@example(Decimal("NaN"))
@example(Decimal("Infinity"))
def test_a_decimal_is_stored_as_the_driver_stores_it(number: Decimal) -> None:
    assert decimal128(number).bid == Decimal128(number).bid


@given(st.integers(-(10**34) + 1, 10**34 - 1))
def test_a_whole_number_is_stored_as_the_driver_stores_it(number: int) -> None:
    assert decimal128(number).bid == Decimal128(Decimal(number)).bid


def test_a_digit_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(Inexact):
        decimal128(Decimal("1." + "1" * 34))

"""The published charges follow from the data set's own minutes: the figures that the whole demo is held to."""

from decimal import Decimal
from fractions import Fraction

from libs.demo.churn import Band, ChurnCustomer, Traffic
from libs.demo.comparison import Comparison, compare_with_published
from libs.money import round_to_minor_unit

PRICE_PER_MINUTE = {
    Band.DAY: Fraction("0.17"),
    Band.EVENING: Fraction("0.085"),
    Band.NIGHT: Fraction("0.045"),
    Band.INTERNATIONAL: Fraction("0.27"),
}


def test_10639_of_10664_lines_equal_the_published_charge_and_25_are_one_cent_above(customers):
    billed = {
        (customer.number, band): round_to_minor_unit(traffic.seconds * PRICE_PER_MINUTE[band] / 60, "USD")
        for customer in customers
        for band, traffic in customer.traffic.items()
        if traffic.call_count
    }
    assert len(billed) == 10_664 - 18
    assert compare_with_published(customers, billed) == Comparison(10_664, 10_639, 25, Decimal("158261.09"))


def a_customer(**published: str) -> ChurnCustomer:
    return ChurnCustomer(1, "KS", "415", {Band(band): Traffic(1, 60, Decimal(charge)) for band, charge in published.items()})


def test_a_line_that_is_missing_differs_from_a_published_charge_but_not_from_zero():
    comparison = compare_with_published([a_customer(day="1.00", evening="0")], {})
    assert (comparison.line_count, comparison.equal_count, comparison.wrong_count) == (2, 1, 1)
    assert comparison.total == 0


def test_only_a_cent_above_is_forgiven():
    customer = a_customer(day="1.00", evening="1.00", night="1.00", international="1.00")
    billed = {
        (1, Band.DAY): Decimal("1.01"),
        (1, Band.EVENING): Decimal("0.99"),
        (1, Band.NIGHT): Decimal("1.02"),
        (1, Band.INTERNATIONAL): Decimal("1.00"),
    }
    assert compare_with_published([customer], billed) == Comparison(4, 1, 1, Decimal("4.02"))

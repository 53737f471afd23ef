"""`tarifa price`: usages cost on trial what they cost in use, their steps add up, and the bill is that of rating and invoicing."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from libs.billing import parse_tax_rates
from libs.cli import app
from libs.contracts import UsageReceived, UsageRejected
from libs.pricing import PricedUsage, RateBooks, RejectedUsage, load_rate_books, parse_rate_book
from libs.pricing.intake import Intake
from libs.tariffs.trial import Trial
from services.rating.domain.deciding import Rater, decide
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from tests.command_line import refusal
from tests.usages import usage_of

BOOK = """
id: trial
effective_from: 2026-01-01
time_zone: Europe/Madrid
currency: EUR
offerings:
  basic:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.60, per: 60 s}, increments: 60/1}
      - id: data
        description: Data
        match: {usage_type: data}
        graduated: [{up_to: 10 MB, price: {amount: 1, per: 1 MB}}, {price: {amount: 0.50, per: 1 MB}}]
      - {id: film, description: Films, match: {usage_type: film}, price: {amount: 4, per: 1 event}, tax_category: reduced}
    allowances:
      - {id: minutes, description: Minutes, amount: 2 min, covers: {prices: [calls]}}
    discounts:
      - {id: loyal, description: Loyal, percent: 10}
    spending_cap: {id: cap, description: Cap, amount: 20}
  inclusive:
    tax: included
    usage_prices:
      - {id: film, description: Films, match: {usage_type: film}, price: {amount: 12.10, per: 1 event}}
  halved:
    usage_prices:
      - {id: film, description: Films, match: {usage_type: film}, price: {amount: 100, per: 1 event}}
    discounts:
      - {id: half, description: Half, percent: 50, applied: after_tax}
      - {id: welcome, description: Welcome, fixed: 10, applied: after_tax, for_first: 1 month}
"""
RATES = parse_tax_rates("rates: {standard: 21, reduced: 10}", "rates.yaml")
UNITS = {"voice": "s", "data": "byte", "film": "event"}


NUMBERS = count()


def used(usage_type: str, quantity: str, starts: str = "2026-03-02T10:00:00+01:00") -> UsageReceived:
    return usage_of(
        id=f"usage-{next(NUMBERS)}",
        identifier="trial",
        usage_type=usage_type,
        started_at=starts,
        quantity=Decimal(quantity),
        unit=UNITS[usage_type],
    )


def trial(offering: str = "basic", **options: bool) -> Trial:
    return Trial(RateBooks([parse_rate_book(BOOK, "book.yaml")]), offering, "Europe/Madrid", "EUR", **options)


def test_allowances_are_full_at_first_and_drawn_in_turn() -> None:
    priced = trial().price([used("voice", "90"), used("voice", "90"), used("voice", "90", "2026-04-02T10:00:00+02:00")])
    assert [each.answer.amount for each in priced if isinstance(each.answer, PricedUsage)] == [0, Fraction("0.6"), 0]
    assert [[(use.allowance_id, use.quantity) for use in each.uses] for each in priced] == [
        [("minutes", 90)],
        [("minutes", 30)],
        [("minutes", 90)],
    ]


def test_allowances_can_be_left_out() -> None:
    (priced,) = trial(with_allowances=False).price([used("voice", "90")])
    assert isinstance(priced.answer, PricedUsage)
    assert (priced.answer.amount, priced.uses) == (Fraction("0.9"), ())


def test_what_counts_the_month_is_counted_over_the_list() -> None:
    tried = trial()
    bill = tried.bill(tried.price([used("data", "8000000"), used("data", "4000000")]))
    assert [(line.price_id, line.quantity, line.amount) for line in bill.lines] == [("data", 12_000_000, Decimal("11.00"))]


def test_a_newer_book_that_counts_alike_goes_on_counting_in_the_same_line() -> None:
    later = BOOK.replace("id: trial", "id: later", 1).replace("2026-01-01", "2026-03-15").replace("amount: 4,", "amount: 5,")
    tried = Trial(RateBooks([parse_rate_book(BOOK, "book.yaml"), parse_rate_book(later, "later.yaml")]), "basic", "Europe/Madrid", "EUR")
    afterwards = "2026-03-20T10:00:00+01:00"
    bill = tried.bill(
        tried.price(
            [used(*each) for each in (("data", "8000000"), ("film", "1"), ("data", "4000000", afterwards), ("film", "1", afterwards))]
        )
    )
    assert [(line.price_id, str(line.amount)) for line in bill.lines] == [("data", "11.00"), ("film", "9.00")]


@pytest.mark.parametrize(
    ("films", "adjusted", "taxes", "total"),
    [
        # 8.00 less 10 percent, and 10 percent of tax on what is left.
        (2, ["loyal -0.80"], ["reduced 0.72"], "7.92"),
        # 40.00 less 10 percent is above the cap of 20.
        (10, ["loyal -4.00", "cap -16.00"], ["reduced 2.00"], "22.00"),
    ],
)
def test_discounts_cap_and_tax_are_those_of_a_bill(films: int, adjusted: list[str], taxes: list[str], total: str) -> None:
    tried = trial()
    bill = tried.bill(tried.price([used("film", "1") for _ in range(films)]), RATES, "standard")
    assert [f"{one.id} {one.amount}" for one in bill.adjustments] == adjusted
    assert [f"{tax.category} {tax.amount}" for tax in bill.taxes] == taxes
    assert bill.total == Decimal(total)


def test_what_bears_different_taxes_is_discounted_by_each() -> None:
    tried = trial(with_allowances=False)
    bill = tried.bill(tried.price([used("film", "1"), used("voice", "100")]), RATES, "standard")
    assert [(one.tax_category, str(one.amount)) for one in bill.adjustments] == [(None, "-0.10"), ("reduced", "-0.40")]
    assert [f"{tax.category} {tax.amount}" for tax in bill.taxes] == ["reduced 0.36", "standard 0.19"]


def test_prices_that_include_tax_are_what_is_to_be_paid() -> None:
    tried = trial("inclusive")
    bill = tried.bill(tried.price([used("film", "1")]), RATES, "standard")
    assert ([f"{tax.category} {tax.amount}" for tax in bill.taxes], bill.total) == (["standard 2.10"], Decimal("12.10"))


def test_a_month_in_which_a_book_begins_to_include_tax_is_taxed_by_what_each_usage_was_priced_with() -> None:
    later = (
        BOOK.replace("id: trial", "id: later", 1).replace("2026-01-01", "2026-03-15").replace("  basic:\n", "  basic:\n    tax: included\n")
    )
    tried = Trial(RateBooks([parse_rate_book(BOOK, "book.yaml"), parse_rate_book(later, "later.yaml")]), "basic", "Europe/Madrid", "EUR")
    bill = tried.bill(tried.price([used("film", "1"), used("film", "1", "2026-03-20T10:00:00+01:00")]), RATES, "standard")
    assert [(one.id, str(one.amount), one.is_tax_included) for one in bill.adjustments] == [
        ("loyal", "-0.40", False),
        ("loyal", "-0.40", True),
    ]
    # 3.60 and 0.36 of tax; 3.60 with the tax in it.
    assert (bill.total, [str(tax.amount) for tax in bill.taxes]) == (Decimal("7.56"), ["0.69"])


def test_a_discount_from_a_day_within_the_month_is_not_for_usage_of_that_month_as_on_a_bill() -> None:
    from_the_tenth = BOOK.replace("{id: loyal, description: Loyal, percent: 10}", "{id: d, description: D, percent: 10, from: 2026-03-10}")
    tried = Trial(RateBooks([parse_rate_book(from_the_tenth, "book.yaml")]), "basic", "Europe/Madrid", "EUR")
    for day, expected in (("2026-03-15", []), ("2026-04-15", ["-0.40"])):
        bill = tried.bill(tried.price([used("film", "1", f"{day}T10:00:00+02:00")]))
        assert [str(one.amount) for one in bill.adjustments] == expected, day


def test_discounts_after_tax_are_taken_off_each_bill() -> None:
    tried = trial("halved")
    march, may = used("film", "1"), used("film", "1", "2026-05-02T10:00:00+02:00")
    bill = tried.bill(tried.price([march, may]), RATES, "standard")
    assert [(one.discount_id, str(one.amount)) for one in bill.discounts] == [("half", "-60.50"), ("welcome", "-10.00"), ("half", "-60.50")]
    assert ([f"{tax.category} {tax.amount}" for tax in bill.taxes], bill.total) == (["standard 42.00"], Decimal("111.00"))
    assert tried.bill(tried.price([march])).total == Decimal("40.00"), "without tax"


def test_each_month_is_adjusted_by_itself() -> None:
    tried = trial()
    bill = tried.bill(tried.price([used("film", "6"), used("film", "6", "2026-04-02T10:00:00+02:00")]))
    assert [f"{one.id} {one.amount}" for one in bill.adjustments] == ["loyal -2.40", "cap -1.60"] * 2
    assert bill.total == Decimal("40.00")


SHIPPED = load_rate_books(Path(__file__).parents[2] / "deploy/rate-books")
usages = st.builds(
    lambda kind, quantity, minute, called: usage_of(
        id=f"usage-{next(NUMBERS)}",
        identifier="trial",
        usage_type=kind[0],
        unit=kind[1],
        quantity=Decimal(quantity),
        started_at=f"2026-03-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00Z",
        called_number=called,
    ),
    st.sampled_from([("voice", "s"), ("sms", "message"), ("data", "byte"), ("film", "event")]),
    st.integers(0, 10**6),
    st.integers(0, 31 * 1440 - 1),
    st.sampled_from(["+34911234567", "+34612345678", "+33123456789", "+34803123456"]),
)


@given(
    st.lists(usages, min_size=1, max_size=5),
    st.sampled_from(["mobile-prepaid", "mobile-smart", "fibre-300", "fibre-business", "iot-meter"]),
)
def test_steps_add_up_to_the_amount_and_lines_to_the_total(tried_usages: list[UsageReceived], offering: str) -> None:
    tried = Trial(SHIPPED, offering, "Europe/Madrid", "EUR")
    priced = tried.price(tried_usages)
    for each in priced:
        if isinstance(each.answer, PricedUsage):
            *steps, last = each.steps
            assert last.amount == each.answer.amount == sum(step.amount or 0 for step in steps)
        else:
            assert [step.topic for step in each.steps] == ["refusal"]
    bill = tried.bill(priced)
    taken_off = [one.amount for one in (*bill.adjustments, *bill.discounts)]
    assert bill.total == sum(line.amount or 0 for line in bill.lines) + sum(taken_off)


@given(usages, st.sampled_from(["mobile-prepaid", "mobile-smart", "fibre-300", "fibre-business"]))
def test_without_allowances_a_trial_is_what_rating_would_say(usage: UsageReceived, offering: str) -> None:
    (priced,) = Trial(SHIPPED, offering, "Europe/Madrid", "EUR", with_allowances=False).price([usage])
    assert priced.answer == Intake().answer(SHIPPED, offering, usage, time_zone="Europe/Madrid", currency="EUR")[1]


RATED = st.builds(
    lambda id, quantity, called, network: usage_of(
        id=id,
        identifier="+34600000000",
        usage_type="voice",
        unit="s",
        quantity=Decimal(quantity),
        started_at="2026-03-02T10:00:00Z",
        called_number=called,
        characteristics={"visited_network": network} if network else {},
    ),
    st.sampled_from(["one", "two"]),
    st.sampled_from(["60", "60.5", "60.0000000001", "0", "-1", "1e18", "1e19", "600000"]),
    st.sampled_from([None, "+34911234567", "+34 911 234 567", "0034911234567", "911234567", "112", "Info", "+", "\u0663\u0664"]),
    st.sampled_from([None, "310410"]),
)


@given(st.lists(RATED, min_size=1, max_size=3), st.sampled_from(["mobile-prepaid", "fibre-300"]))
def test_a_trial_refuses_what_rating_refuses_for_the_same_reason(usages: list[UsageReceived], offering: str) -> None:
    product = Product("line", "ada", offering, "Line", "active", datetime(2024, 1, 1, tzinfo=UTC))
    holdings = Holdings(
        {"+34600000000": (Holding.of(product, product.started_at, None),)}, {"ada": Account("ada", "EUR", "Europe/Madrid", {})}
    )
    limits = UsageLimits(timedelta(hours=1), timedelta(days=365))
    decided = decide(usages, {}, Rater(holdings, SHIPPED, limits, datetime(2026, 4, 1, tzinfo=UTC))).answers
    tried = Trial(SHIPPED, offering, "Europe/Madrid", "EUR", with_allowances=False).price(usages)
    for rated, each in zip(decided, tried, strict=True):
        if isinstance(rated, UsageRejected):
            assert isinstance(each.answer, RejectedUsage)
            assert rated.reason == each.answer.reason
        else:
            assert isinstance(each.answer, PricedUsage)
            assert Fraction(int(rated.numerator), int(rated.denominator)) == each.answer.amount


def test_a_usage_that_comes_again_is_charged_once() -> None:
    usage = used("voice", "90")
    tried = trial(with_allowances=False)
    priced = tried.price([usage, usage])
    assert tried.bill(priced).lines[0].usage_count == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trial.yaml").write_text(BOOK)
    write(tmp_path, {"usage_type": "voice", "started_at": "2026-03-02T10:00:00+01:00", "quantity": 180, "unit": "s"})
    return tmp_path


def write(folder: Path, given: Any) -> None:
    (folder / "usage.json").write_text(given if isinstance(given, str) else json.dumps(given))


def price(folder: Path, *arguments: str, product: str = "basic") -> Result:
    command = ["price", "--books", str(folder), "--product", product, "--usage", str(folder / "usage.json"), *arguments]
    return CliRunner().invoke(app, command, env={"COLUMNS": "160"})


def test_a_usage_is_priced_in_a_line(folder: Path) -> None:
    assert price(folder).stdout.splitlines()[0] == "usage-1  voice, 180 s, 2026-03-02 09:00:00 UTC: 0.6 EUR by calls"
    assert "1.8 EUR by calls" in price(folder, "--no-allowances").stdout


def test_it_is_told_why_step_by_step(folder: Path) -> None:
    told = price(folder, "--explain", "--tax-category", "standard", "--book", "trial").stdout
    topics = [line.split()[0] for line in told.splitlines() if line.startswith("    ")]
    assert topics == ["book", "match", "quantity", "allowance", "price", "amount"]
    assert [line.split()[-1] for line in told.splitlines() if line.startswith((" Calls", " Loyal", " tax", " total"))] == [
        "0.60",
        "-0.06",
        "0.11",
        "0.65",
    ]


@pytest.mark.parametrize("count", [1, 2])
def test_tax_is_told_for_one_usage_as_for_two(folder: Path, count: int) -> None:
    given = [{"usage_type": "voice", "started_at": f"2026-03-0{day}T10:00:00Z", "quantity": 180, "unit": "s"} for day in (2, 3)]
    write(folder, given[:count])
    told = price(folder, "--tax-category", "standard").stdout
    assert {line.split()[0] for line in told.splitlines() if line.startswith(" ")} >= {"tax", "total"}


@pytest.mark.parametrize(
    ("quantity", "problem"),
    [
        ("60.0000000001", "no price: absurd-quantity: a quantity of 60.0000000001 has more than 9 decimals"),
        ("1e18", "no price: beyond-limits: a voice of 1000000000000000000 s is beyond the limit of 259200 s"),
        ("259200.000001", "no price: beyond-limits: a voice of 259200.000001 s is beyond the limit of 259200 s"),
        ("1" + "0" * 18 + "1", "no price: absurd-quantity: a quantity of 10000000000000000001 is above 1E+18"),
        ("9" * 34, f"no price: absurd-quantity: a quantity of {'9' * 34} is above 1E+18"),
        ("-0.0000001", "no price: negative-quantity: a quantity of -1E-7 is negative"),
        ("1e34", "cannot be read: quantity: 1E+34 has more than 34 digits before the decimal point"),
    ],
)
def test_a_usage_that_rating_refuses_has_no_price(folder: Path, quantity: str, problem: str) -> None:
    write(folder, f'{{"usage_type": "voice", "started_at": "2026-03-02T10:00:00Z", "quantity": {quantity}, "unit": "s"}}')
    told = refusal(price(folder))
    assert told.problem.endswith(problem)
    assert told.exit_code == 1


def test_what_no_usage_costs_is_said_to_be_left_out(folder: Path) -> None:
    left_out = "Fees and commitments are not part of a usage's price"
    assert left_out in " ".join(CliRunner().invoke(app, ["price", "--help"], env={"COLUMNS": "160"}).stdout.split())
    assert left_out in price(folder, "--explain").stdout


def test_machines_are_told_fractions(folder: Path) -> None:
    write(folder, [{"id": "a", "usage_type": "voice", "started_at": "2026-03-02T10:00:00Z", "quantity": 121.5, "unit": "s"}])
    told = json.loads(price(folder, "--json", "--explain").stdout)
    (usage,) = told["usages"]
    assert {key: usage[key] for key in ("id", "price_id", "rate_book", "numerator", "denominator", "charged_quantity")} == {
        "id": "a",
        "price_id": "calls",
        "rate_book": "trial",
        "numerator": "1",
        "denominator": "50",
        "charged_quantity": 2,
    }
    assert usage["allowances"] == [{"id": "minutes", "numerator": "120", "denominator": "1"}]
    assert [step["topic"] for step in usage["steps"]][-1] == "amount"
    assert (told["currency"], told["total"]) == ("EUR", 0.02)


def test_a_usage_without_a_price_is_told_and_the_command_fails(folder: Path) -> None:
    write(folder, {"usage_type": "fax", "started_at": "2026-03-02T10:00:00Z", "quantity": 1, "unit": "event"})
    outcome = price(folder, "--explain")
    assert refusal(outcome).exit_code == 1
    assert "no-price: offering 'basic' has no price for fax" in outcome.stdout
    assert json.loads(price(folder, "--json").stdout)["usages"][0]["rejected"]["reason"] == "no-price"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("{", "is not JSON"),
        ([], "has no usage"),
        ([1], "usage 1 in"),
        ({"usage_type": "voice"}, "cannot be read"),
        ({"usage_type": "voice", "started_at": "today", "quantity": 1, "unit": "s"}, "cannot be read"),
        ({"usage_type": "voice", "started_at": "9999-12-15T10:00:00Z", "quantity": 1, "unit": "s"}, "too near an end of the calendar"),
        ({"usage_type": "voice", "started_at": "0001-01-01T00:00:00Z", "quantity": 1, "unit": "s"}, "too near an end of the calendar"),
    ],
)
def test_usages_that_cannot_be_read_are_refused(folder: Path, given: Any, problem: str) -> None:
    write(folder, given)
    assert problem in refusal(price(folder)).problem


def test_what_is_not_there_is_refused_with_what_to_do(folder: Path) -> None:
    assert refusal(price(folder, product="premium")).problem == f"no offering premium in {folder}"
    assert refusal(price(folder, "--time-zone", "Mars/Olympus")).remedy == "see --time-zone, --currency and --tax-category"
    assert refusal(price(folder, "--currency", "XXQ")).problem == "'XXQ' is not an ISO 4217 currency code"
    assert "no tax rate for category 'luxury'" in refusal(price(folder, "--tax-category", "luxury")).problem
    (folder / "usage.json").unlink()
    assert "cannot be read" in refusal(price(folder)).problem


def test_an_offering_in_two_currencies_needs_one_said(folder: Path) -> None:
    (folder / "dollar.yaml").write_text(BOOK.replace("id: trial", "id: dollar", 1).replace("EUR", "USD"))
    assert refusal(price(folder)).problem == "offering basic is priced in EUR and USD"
    assert "0.6 USD by calls" in price(folder, "--currency", "USD").stdout
    assert "0.6 USD by calls" in price(folder, "--book", "dollar").stdout

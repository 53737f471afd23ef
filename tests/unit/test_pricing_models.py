"""The models of usage prices and their terms, as tables and properties: what a quantity costs, exactly, and why."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import QUANTITY_MAX, ChargeTiers, LineRounding, Tier, UsageReceived
from libs.money import RoundingMode
from libs.pricing import CompiledPrice, Fault, PricedUsage, RateBookInvalid, RateBooks, RejectedUsage, parse_rate_book
from libs.pricing.explanation import explain
from libs.pricing.local_time import local_minute
from libs.pricing.specificity import specificity
from libs.pricing.tiers import scaled, tiers_amount
from tests.examples import examples
from tests.usages import usage_of

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def books(*prices: str, top: str = "", offering: str = "", currency: str = "EUR", id: str = "book") -> RateBooks:
    return RateBooks([parse_rate_book(text(*prices, top=top, offering=offering, currency=currency, id=id), f"{id}.yaml")])


def text(*prices: str, top: str = "", offering: str = "", currency: str = "EUR", id: str = "book") -> str:
    lines = "".join(f"      - {{description: Usage, {price}}}\n" for price in prices)
    return f"id: {id}\neffective_from: 2000-01-01\ncurrency: {currency}\n{top}offerings:\n  basic:\n{offering}    usage_prices:\n{lines}"


def one(terms: str, *, usage_type: str = "voice") -> RateBooks:
    return books(f"id: p, match: {{usage_type: {usage_type}}}, {terms}")


def usage(quantity: object, unit: str = "s", *, at: datetime = NOON, called: str | None = None, **characteristics: str) -> UsageReceived:
    return usage_of(
        id="usage",
        identifier="ada",
        usage_type="voice",
        started_at=at,
        quantity=Decimal(str(quantity)),
        unit=unit,
        called_number=called,
        characteristics=characteristics,
    )


def priced(by: RateBooks, of: UsageReceived, currency: str = "EUR") -> PricedUsage:
    answer = by.price_usage("basic", of, time_zone="UTC", currency=currency)
    assert isinstance(answer, PricedUsage), answer
    return answer


def price_of(by: RateBooks, quantity: object = 1, unit: str = "s") -> CompiledPrice:
    return priced(by, usage(quantity, unit)).price


@pytest.mark.parametrize(
    ("terms", "amounts"),
    [
        ("price: {amount: 0.60, per: 60 s}, free_first: 10 s", {0: "0", "0.5": "0", 10: "0", "10.5": "0.01", 70: "0.60"}),
        ("price: {amount: 0.60, per: 60 s}, increments: 60/1, free_first: 0 s, setup_fee: 1", {0: "0", 1: "1.60", 61: "1.61"}),
        ("price: {amount: 0.60, per: 60 s}, minimum: 0.05", {0: "0", 1: "0.05", 5: "0.05", 6: "0.06"}),
        ("price: {amount: 0.60, per: 60 s}, maximum: 0.05", {0: "0", 1: "0.01", 5: "0.05", 6: "0.05", 10**18: "0.05"}),
        ("price: {amount: 0.60, per: 60 s}, setup_fee: 3, maximum: 2, minimum: 1", {0: "0", 1: "2"}),
        ("price: {amount: 1, per: 7 s}, minimum: 0.5, maximum: 1", {1: "0.5", 5: "5/7", 8: "1"}),
        ("price: {amount: 0.1, per: 60 s}, rounding: {point: record}", {3: "0.01", 2: "0.00", 9: "0.02"}),
        ("price: {amount: 0.1, per: 60 s}, rounding: {point: record, mode: half_even}", {3: "0.00", 9: "0.02"}),
        ("price: {amount: 0.1, per: 60 s}, rounding: {point: record, mode: half_down}", {3: "0.00", 9: "0.01", 10: "0.02"}),
        ("price: {amount: 0.1, per: 60 s}, rounding: {point: record, mode: up, decimals: 0}", {0: "0", 1: "1", 600: "1", 601: "2"}),
        ("price: {amount: 0.1, per: 60 s}, rounding: {point: record, mode: down, decimals: 3}", {1: "0.001", 3: "0.005"}),
        (
            "steps: [{from: 0, price: {amount: 1, per: 10 s}, increments: 30 s}, {from: 40 s, price: {amount: 2, per: 10 s}}]",
            # The second block of 30 s, begun before 40 s, is charged whole.
            {0: "0", 1: "3", 30: "3", 31: "6", 40: "6", 41: "6.2", 50: "8"},
        ),
        (
            "counted: record, graduated: [{up_to: 10 s, price: {amount: 1, per: 1 s}, flat: 5}, {price: {amount: 0.5, per: 1 s}, flat: 2}]",
            {0: "0", 1: "6", 10: "15", 11: "17.5", 12: "18"},
        ),
        ("counted: record, volume: [{up_to: 10 s, price: {amount: 1, per: 1 s}}, {price: {amount: 0.5, per: 1 s}}]", {10: "10", 12: "6"}),
        ("counted: record, package: {amount: 3, per: 60 s, free: 30 s}, maximum: 7", {30: "0", 31: "3", 90: "3", 91: "6", 300: "7"}),
        ("counted: record, package: {amount: 1, per: 0.3 s}, increments: none", {"0.3": "1", "0.301": "2", "1": "4"}),
    ],
)
def test_a_record_costs_what_its_terms_say(terms: str, amounts: dict[object, str]) -> None:
    by = one(terms)
    assert {quantity: priced(by, usage(quantity)).amount for quantity in amounts} == {
        quantity: Fraction(amount) for quantity, amount in amounts.items()
    }


def test_only_a_continuation_pays_no_setup_fee() -> None:
    by = one("price: {amount: 1, per: 60 s}, setup_fee: 3")
    assert priced(by, usage(60, continuation="true")).amount == 1
    assert [priced(by, usage(60, continuation=other)).amount for other in ("false", "yes", "")] == [4, 4, 4]


def test_a_price_that_counts_the_month_asks_no_more_of_a_usage_than_its_setup_fee() -> None:
    answer = priced(one("package: {amount: 3, per: 60 s}, setup_fee: 0.25, increments: 30, late_usage: restart"), usage(31))
    assert (answer.charged_quantity, answer.amount, answer.price.late_restarts) == (60, Fraction("0.25"), True)
    assert answer.price.tiers == ChargeTiers(model="package", tiers=(Tier(amount=Decimal(3), per=Decimal(60), increment=Decimal(60)),))


@pytest.mark.parametrize("model", ["graduated", "volume", "package"])
def test_a_charge_that_goes_on_counting_owes_the_difference(model: str) -> None:
    tiers = ChargeTiers(
        model=model,  # type: ignore[arg-type]
        tiers=(
            Tier(up_to=Decimal(10), amount=Decimal(2), per=Decimal(1), flat=Decimal(5)),
            Tier(amount=Decimal(1), per=Decimal(1), increment=Decimal(5)),
        ),
        free_quantity=Decimal(3),
    )
    whole = tiers_amount(tiers, Decimal(20))
    first = tiers_amount(tiers, Decimal(8))
    later = tiers_amount(tiers.model_copy(update={"counted_before": Decimal(8)}), Decimal(12))
    assert first + later == whole


@settings(deadline=None)
@given(
    bounds=st.lists(st.integers(1, 1000), unique=True, max_size=4),
    amounts=st.lists(st.tuples(st.decimals(0, 10, places=2), st.decimals(0, 10, places=2), st.integers(0, 7)), min_size=5, max_size=5),
    quantities=st.lists(st.decimals(0, 400, places=2), min_size=1, max_size=6),
    free=st.integers(0, 100),
)
def test_graduated_parts_add_up_and_grow(
    bounds: list[int], amounts: list[tuple[Decimal, Decimal, int]], quantities: list[Decimal], free: int
) -> None:
    ends = [*map(Decimal, sorted(bounds)), None]
    tiers = ChargeTiers(
        model="graduated",
        tiers=tuple(
            Tier(up_to=end, amount=amount, per=Decimal(1), flat=flat, increment=Decimal(block) or None)
            for end, (amount, flat, block) in zip(ends, amounts, strict=False)
        ),
        free_quantity=Decimal(free),
    )
    counted, owed = Decimal(0), Fraction(0)
    for usage_count, quantity in enumerate(quantities):
        part = tiers_amount(tiers.model_copy(update={"counted_before": counted, "usage_count_before": usage_count}), quantity)
        # What comes later never lowers what is owed.
        assert part >= 0
        owed += part
        counted += quantity
    assert owed == tiers_amount(tiers, counted)
    told = list(scaled(tiers).parts(Fraction(counted)))
    assert sum(amount for _, amount in told) == owed
    assert sum(quantity for quantity, _ in told) == max(0, Fraction(counted) - free)


@pytest.mark.parametrize(
    ("book", "offering", "price", "expected"),
    [
        ("", "", "", None),
        ("rounding: {point: line}\n", "", "", None),
        ("rounding: {mode: half_up, decimals: 2}\n", "", "", None),
        ("rounding: {mode: down}\n", "", "", LineRounding(mode=RoundingMode.DOWN)),
        ("rounding: {decimals: 0}\n", "", "", LineRounding(mode=RoundingMode.HALF_UP, decimals=0)),
        ("rounding: {mode: down}\n", "    rounding: {mode: up}\n", "", LineRounding(mode=RoundingMode.UP)),
        ("rounding: {mode: down}\n", "    rounding: {mode: half_up}\n", "", None),
        (
            "rounding: {mode: down}\n",
            "",
            ", rounding: {mode: half_even, decimals: 1}",
            LineRounding(mode=RoundingMode.HALF_EVEN, decimals=1),
        ),
        ("rounding: {mode: down}\n", "", ", rounding: {point: record}", None),
    ],
)
def test_a_price_carries_the_rounding_of_its_line(book: str, offering: str, price: str, expected: LineRounding | None) -> None:
    by = books(f"id: p, match: {{usage_type: voice}}, price: {{amount: 1, per: 60 s}}{price}", top=book, offering=offering)
    assert price_of(by).line_rounding == expected


def test_an_offering_is_priced_in_each_currency_by_its_own_books() -> None:
    euro, dollar = (
        parse_rate_book(
            text(f"id: p, match: {{usage_type: voice}}, price: {{amount: {amount}, per: 1 s}}", currency=currency, id=currency), currency
        )
        for currency, amount in (("EUR", 1), ("USD", 2))
    )
    both = RateBooks([euro, dollar])
    assert [priced(both, usage(1), currency).amount for currency in ("EUR", "USD")] == [1, 2]
    answer = both.price_usage("basic", usage(1), time_zone="UTC", currency="JPY")
    assert isinstance(answer, RejectedUsage)
    assert answer.reason.value == "wrong-currency"
    assert answer.detail == (
        "rate book 'EUR' prices offering 'basic' in EUR and rate book 'USD' prices offering 'basic' in USD, the account pays in JPY"
    )
    offering = both.offering("basic", NOON, "USD", "UTC")
    assert offering is not None
    assert offering.rate_book == "USD"
    assert both.offering("basic", datetime(1999, 1, 1, tzinfo=UTC), "USD", "UTC") is None


def faults_of(book: str) -> list[Fault]:
    try:
        parse_rate_book(book, "book.yaml")
    except RateBookInvalid as invalid:
        return invalid.faults
    return []


CHARACTERISTICS = st.dictionaries(st.sampled_from("ab"), st.sets(st.sampled_from("xyz"), min_size=1, max_size=2), max_size=2)
MATCHES = st.tuples(
    CHARACTERISTICS,
    st.lists(st.sampled_from(["2", "21", "214", "208"]), unique=True, max_size=2),
    st.lists(st.sampled_from(["+", "+3", "+34", "+349"]), unique=True, max_size=2),
    st.sampled_from(["", "day", "late", "feast"]),
)
BANDS = "holidays: {h: [2026-03-03]}\ntime_bands:\n  day: {hours: 08:00-20:00}\n  late: {hours: 17:00-02:00}\n  feast: {holidays: h}\n"


def listed(values: Sequence[str]) -> str:
    return f"[{', '.join(map(repr, values))}]"


def matched(number: int, match: tuple[dict[str, set[str]], list[str], list[str], str]) -> str:
    named, networks, called, band = match
    parts = ["usage_type: voice"]
    if named:
        lists = (f"{name}: {listed(sorted(values))}" for name, values in named.items())
        parts.append(f"characteristics: {{{', '.join(lists)}}}")
    if networks:
        parts.append(f"visited_network: {listed(networks)}")
    if called:
        parts.append(f"called: {listed(called)}")
    if band:
        parts.append(f"time_band: {band}")
    return f"id: p{number}, match: {{{', '.join(parts)}}}, price: {{amount: 1, per: 1 s}}"


@examples(300)
@given(
    matches=st.lists(MATCHES, min_size=1, max_size=5),
    given_characteristics=st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyzw"), max_size=3),
    network=st.sampled_from(["", "214", "21407", "20801", "310"]),
    called=st.sampled_from([None, "+1", "+34911", "+349", "+33", "112"]),
    hour=st.integers(0, 47),
)
def test_the_most_specific_price_wins_or_the_book_is_refused(
    matches: Sequence[tuple[dict[str, set[str]], list[str], list[str], str]],
    given_characteristics: dict[str, str],
    network: str,
    called: str | None,
    hour: int,
) -> None:
    at = datetime(2026, 3, 3 + hour // 24, hour % 24, tzinfo=UTC)
    named = given_characteristics | ({"visited_network": network} if network else {})
    of = usage(1, at=at, called=called, **named)
    book = text(*(matched(number, match) for number, match in enumerate(matches)), top=BANDS)
    if faults := faults_of(book):
        assert all("just as price" in fault.message for fault in faults)
        return
    by = RateBooks([parse_rate_book(book, "book.yaml")])
    offering = by.offering("basic", at, "EUR", "UTC")
    assert offering is not None
    slot = offering.week.slot(local_minute(at, "UTC"))
    ranks = {price.id: specificity(price.match, of, offering.week, slot) for price in offering.usage_prices}
    ranked = sorted(((rank, id) for id, rank in ranks.items() if rank is not None), reverse=True)
    answer = by.price_usage("basic", of, time_zone="UTC", currency="EUR")
    assert (answer.price_id if isinstance(answer, PricedUsage) else None) == (ranked[0][1] if ranked else None)
    assert len(ranked) < 2 or ranked[0][0] > ranked[1][0]


AMOUNT = st.decimals(0, 50, places=3).map(lambda amount: f"{amount:f}")
QUANTITY = st.sampled_from(["1 s", "7 s", "60 s", "0.5 s", "1 min", "1 h"])
INCREMENTS = st.sampled_from(["1 s", "60 s/1 s", "30 s/6 s", "0.5 s", "none"])
RATE = st.builds(lambda amount, per: f"{{amount: {amount}, per: {per}}}", AMOUNT, QUANTITY)


@st.composite
def tier_lists(draw: st.DrawFn) -> str:
    bounds = sorted(draw(st.sets(st.integers(1, 5000), max_size=3)))
    tiers = [f"up_to: {bound} s, price: {draw(RATE)}, flat: {draw(AMOUNT)}" for bound in bounds]
    last = f"price: {draw(RATE)}, increments: {draw(st.sampled_from(['1 s', '60 s', '0.3 s']))}"
    return f"[{', '.join(f'{{{tier}}}' for tier in [*tiers, last])}]"


@st.composite
def models(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["price", "steps", "graduated", "volume", "package"]))
    if kind == "price":
        return f"price: {draw(RATE)}, increments: {draw(INCREMENTS)}"
    if kind == "steps":
        starts = sorted(draw(st.sets(st.integers(1, 3000), max_size=3)))
        steps = (f"{{from: {start} s, price: {draw(RATE)}, increments: {draw(INCREMENTS)}}}" for start in [0, *starts])
        return f"steps: [{', '.join(steps)}]"
    counted = draw(st.sampled_from(["period", "record"]))
    if kind == "package":
        return f"package: {{amount: {draw(AMOUNT)}, per: {draw(QUANTITY)}, free: {draw(st.integers(1, 99))} s}}, counted: {counted}"
    return f"{kind}: {draw(tier_lists())}, counted: {counted}"


@st.composite
def terms(draw: st.DrawFn) -> str:
    model = draw(models())
    parts = [model, f"setup_fee: {draw(AMOUNT)}"]
    if draw(st.booleans()):
        parts.append(f"free_first: {draw(st.integers(1, 90))} s")
    if "counted: period" not in model:
        least, most = sorted(draw(st.tuples(st.integers(0, 20), st.integers(0, 20))))
        parts += draw(st.sampled_from([[], [f"minimum: {least}"], [f"maximum: {most}"], [f"minimum: {least}", f"maximum: {most}"]]))
    mode, decimals = draw(st.sampled_from(["half_up", "half_even", "half_down", "up", "down"])), draw(st.integers(0, 4))
    parts += draw(st.sampled_from([[], [f"rounding: {{point: record, mode: {mode}, decimals: {decimals}}}"]]))
    return ", ".join(parts)


TOP = "crossing: %s\nholidays: {h: [2026-03-04]}\ntime_bands:\n  day: {hours: 08:00-20:00, except_holidays: h}\n"


def two_bands(day: str, other: str, crossing: str) -> RateBooks:
    day_price = f"id: day, match: {{usage_type: voice, time_band: day}}, {day}"
    return books(day_price, f"id: other, match: {{usage_type: voice}}, {other}", top=TOP % crossing)


@examples(300)
@given(
    day=terms(),
    other=terms(),
    crossing=st.sampled_from(["start", "split"]),
    quantity=st.integers(1, 200_000).map(Decimal) | st.decimals(10_000, 200_000, places=4) | st.decimals(0, QUANTITY_MAX, allow_nan=False),
    hour=st.integers(0, 23),
    continues=st.booleans(),
)
def test_any_price_prices_any_usage_and_its_explanation_adds_up(
    day: str, other: str, crossing: str, quantity: Decimal, hour: int, continues: bool
) -> None:
    by = two_bands(day, other, crossing)
    named = {"continuation": "true"} if continues else {}
    of = usage(quantity, at=NOON.replace(hour=hour), **named)
    answer = by.price_usage("basic", of, time_zone="Europe/Madrid", currency="EUR")
    steps = explain(by, "basic", of, time_zone="Europe/Madrid", currency="EUR")
    if isinstance(answer, RejectedUsage):
        assert answer.detail
        assert [step.topic for step in steps] == ["refusal"]
        return
    assert all(part.numerator >= 0 and part.charged_quantity >= 0 for part in answer.parts)
    assert steps[-1].amount == answer.amount
    assert sum(step.amount or 0 for step in steps[:-1]) == answer.amount
    assert answer.covered([0] * len(answer.parts)).amount == answer.amount
    left = answer.covered([part.steps // 2 for part in answer.parts])
    steps = explain(by, "basic", of, time_zone="Europe/Madrid", currency="EUR", left=left)
    assert sum(step.amount or 0 for step in steps[:-1]) == left.amount == steps[-1].amount
    assert answer.covered([part.steps for part in answer.parts]).amount == 0


@examples(150)
@given(
    price=terms().filter(lambda said: "volume" not in said), some=st.decimals(0, 20_000, places=3), more=st.decimals(0, 20_000, places=3)
)
def test_more_of_a_record_never_costs_less_but_by_volume(price: str, some: Decimal, more: Decimal) -> None:
    by = one(price)
    less, greater = (priced(by, usage(quantity)) for quantity in sorted((some, more)))
    assert less.amount <= greater.amount
    assert less.charged_quantity <= greater.charged_quantity


@examples(150)
@given(
    rate=RATE,
    quantity=st.decimals(0, 20_000, places=3),
    mode=st.sampled_from(["half_up", "half_even", "half_down", "up", "down"]),
    decimals=st.integers(0, 5),
)
def test_rounding_a_record_moves_at_most_half_a_unit_or_less_than_one_where_the_direction_is_said(
    rate: str, quantity: Decimal, mode: str, decimals: int
) -> None:
    exact = priced(one(f"price: {rate}"), usage(quantity)).amount
    rounded = priced(one(f"price: {rate}, rounding: {{point: record, mode: {mode}, decimals: {decimals}}}"), usage(quantity)).amount
    moved = (rounded - exact) * 10**decimals
    assert {"up": 0 <= moved < 1, "down": -1 < moved <= 0}.get(mode, abs(moved) <= Fraction(1, 2))


@examples(100)
@given(price=terms(), quantity=st.decimals(0, 20_000, places=3), share=st.fractions(0, 1))
def test_what_an_allowance_covers_of_a_usage_never_makes_it_dearer_but_by_volume(price: str, quantity: Decimal, share: Fraction) -> None:
    answer = priced(one(price), usage(quantity))
    paid = int(answer.steps * share)
    left = answer.covered([paid])
    assert left.numerator == answer.price.numerator(answer.steps, paid)
    assert left.steps == answer.steps - paid
    if "volume" not in price:
        assert left.amount <= answer.amount


def test_a_session_of_a_month_costs_pricing_as_much_as_a_second() -> None:
    price = price_of(
        one("steps: [{from: 0, price: {amount: 0.20, per: 60 s}, increments: 60}, {from: 60 s, price: {amount: 0.1, per: 60 s}}]")
    )
    assert price.numerator(price.charged_steps(Decimal(30 * 86400))) == price.exact_denominator * Fraction("4320.1")

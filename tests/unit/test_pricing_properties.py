"""What holds for any rate book and any usage: amounts are exact, parts add up, more never costs less, nothing raises."""

from datetime import UTC, datetime
from decimal import Context, Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts import QUANTITY_MAX, MalformedFact, UsageReceived
from libs.pricing import Fault, PricedUsage, RateBookInvalid, RateBooks, RejectedUsage, parse_rate_book
from tests.examples import examples
from tests.usages import usage_of

NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def usage(quantity: Decimal | int, called: str | None = None, at: datetime = NOON) -> UsageReceived:
    return usage_of(
        id="usage", identifier="ada", usage_type="voice", started_at=at, quantity=Decimal(quantity), unit="s", called_number=called
    )


BANDS = "time_bands:\n  day: {hours: 08:00-20:00}\n  night: {hours: 20:00-08:00}\n"


def books(*usage_prices: str, top: str = BANDS) -> RateBooks:
    """One book with one offering, `basic`; a usage price is written as the inside of a YAML flow mapping."""
    prices = "".join(f"      - {{description: Calls, {price}}}\n" for price in usage_prices)
    text = f"id: book\neffective_from: 2000-01-01\ncurrency: EUR\n{top}offerings:\n  basic:\n    usage_prices:\n{prices}"
    return RateBooks([parse_rate_book(text, "book.yaml")])


def calls(amount: Decimal, per: int, first: Decimal, then: Decimal, setup_fee: Decimal) -> RateBooks:
    asked = f"price: {{amount: {amount:f}, per: {per} s}}, increments: {first:f}/{then:f}, setup_fee: {setup_fee:f}"
    return books(f"id: calls, match: {{usage_type: voice}}, {asked}", top="")


def price(priced_by: RateBooks, of: UsageReceived, time_zone: str = "UTC") -> PricedUsage:
    priced = priced_by.price_usage("basic", of, time_zone=time_zone, currency="EUR")
    assert isinstance(priced, PricedUsage), priced
    return priced


def amount_of(priced: PricedUsage) -> Fraction:
    return Fraction(priced.numerator, priced.denominator)


AMOUNTS = st.decimals(0, 1000, places=4)
STEPS = st.decimals("0.001", 120, places=3) | st.integers(1, 120).map(Decimal)
PER = st.integers(1, 100_000)
SHORT_QUANTITIES = st.decimals(0, 400, places=3)
QUANTITIES = st.decimals(0, QUANTITY_MAX, allow_nan=False) | st.integers(0, 10**18).map(Decimal)


def charged_by_looping(quantity: Decimal, first: Decimal, then: Decimal) -> Decimal:
    """The slow way to say what increments mean."""
    if quantity == 0:
        return Decimal(0)
    charged = first
    while charged < quantity:
        charged += then
    return charged


@settings(deadline=None)
@given(quantity=SHORT_QUANTITIES, first=STEPS, then=st.decimals("0.1", 120, places=2))
def test_increments_equal_a_loop_over_increments(quantity: Decimal, first: Decimal, then: Decimal) -> None:
    priced = price(calls(Decimal(1), 1, first, then, Decimal(0)), usage(quantity))
    assert priced.charged_quantity == charged_by_looping(quantity, first, then)


@settings(deadline=None)
@given(amount=AMOUNTS, per=PER, first=STEPS, then=STEPS, setup_fee=AMOUNTS, quantity=QUANTITIES)
def test_an_amount_is_the_charged_quantity_times_the_price_plus_the_setup_fee(
    amount: Decimal, per: int, first: Decimal, then: Decimal, setup_fee: Decimal, quantity: Decimal
) -> None:
    priced = price(calls(amount, per, first, then, setup_fee), usage(quantity))
    assert amount_of(priced) == Fraction(priced.charged_quantity) * Fraction(amount) / per + (Fraction(setup_fee) if quantity else 0)


@settings(deadline=None)
@given(amount=AMOUNTS, per=PER, first=STEPS, then=STEPS, quantity=QUANTITIES)
def test_the_charged_quantity_is_the_least_block_and_steps_that_hold_the_quantity(
    amount: Decimal, per: int, first: Decimal, then: Decimal, quantity: Decimal
) -> None:
    charged = Fraction(price(calls(amount, per, first, then, Decimal(0)), usage(quantity)).charged_quantity)
    if quantity == 0:
        assert charged == 0
    elif quantity <= first:
        assert charged == Fraction(first)
    else:
        steps = (charged - Fraction(first)) / Fraction(then)
        assert steps.denominator == 1
        assert charged - Fraction(then) < Fraction(quantity) <= charged


@settings(deadline=None)
@given(amount=AMOUNTS, per=PER, quantities=st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_parts_add_up_exactly_to_the_whole(amount: Decimal, per: int, quantities: list[int]) -> None:
    by_the_second = calls(amount, per, Decimal(1), Decimal(1), Decimal(0))
    parts = [price(by_the_second, usage(quantity)) for quantity in quantities]
    whole = price(by_the_second, usage(sum(quantities)))
    assert sum(part.numerator for part in parts) == whole.numerator
    assert {part.denominator for part in parts} == {whole.denominator}


@settings(deadline=None)
@given(amount=AMOUNTS, per=PER, first=STEPS, then=STEPS, setup_fee=AMOUNTS, some=QUANTITIES, more=QUANTITIES)
def test_more_never_costs_less(
    amount: Decimal, per: int, first: Decimal, then: Decimal, setup_fee: Decimal, some: Decimal, more: Decimal
) -> None:
    priced_by = calls(amount, per, first, then, setup_fee)
    less, greater = (price(priced_by, usage(quantity)) for quantity in sorted((some, more)))
    assert less.numerator <= greater.numerator
    assert less.charged_quantity <= greater.charged_quantity
    assert less.denominator == greater.denominator


PREFIXES = st.from_regex(r"\+[12]{0,4}", fullmatch=True)


@examples(50)
@given(
    matches=st.lists(st.tuples(PREFIXES, st.sampled_from(["", "day", "night"])), unique=True, min_size=1, max_size=12),
    called=st.from_regex(r"\+[123]{0,6}", fullmatch=True),
    hour=st.integers(0, 23),
)
def test_the_longest_prefix_with_a_price_at_that_hour_wins(matches: list[tuple[str, str]], called: str, hour: int) -> None:
    priced_by = books(
        *(
            f'id: p{number}, match: {{usage_type: voice, called: "{prefix}"{f", time_band: {band}" if band else ""}}}, '
            "price: {amount: 1, per: 1 s}"
            for number, (prefix, band) in enumerate(matches)
        )
    )
    band_now = "day" if 8 <= hour < 20 else "night"
    candidates = [
        (len(prefix), bool(band), f"p{number}")
        for number, (prefix, band) in enumerate(matches)
        if called.startswith(prefix) and band in ("", band_now)
    ]
    answer = priced_by.price_usage("basic", usage(1, called, NOON.replace(hour=hour)), time_zone="UTC", currency="EUR")
    assert (answer.price_id if isinstance(answer, PricedUsage) else None) == (max(candidates)[2] if candidates else None)


FACT_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=40)
ANY_USAGE = st.builds(
    UsageReceived,
    id=FACT_TEXT,
    identifier=FACT_TEXT,
    usage_type=st.just("voice") | FACT_TEXT,
    started_at=st.datetimes(timezones=st.just(UTC)),
    quantity=st.decimals(allow_nan=False, allow_infinity=False)
    | st.tuples(st.integers(), st.integers(-2_000_000, 900_000)).map(
        lambda parts: Decimal(parts[0]).scaleb(parts[1], Context(Emax=10**7, Emin=-(10**7)))
    ),
    unit=st.sampled_from(["s", "byte"]) | FACT_TEXT,
    called_number=st.none() | st.text("+123", max_size=8) | FACT_TEXT,
    characteristics=st.dictionaries(
        st.sampled_from(["visited_network", "continuation", "media"]), st.sampled_from(["214", "true", "video", ""]) | FACT_TEXT, max_size=3
    ),
)
EVERYTHING = books(
    'id: voice-day, match: {usage_type: voice, called: "+1", time_band: day}, price: {amount: 0.17, per: 60 s}, increments: 60/0.5',
    "id: voice-night, match: {usage_type: voice, time_band: night}, price: {amount: 0.17, per: 60 s}, setup_fee: 1",
    'id: world, match: {usage_type: voice, called: "+"}, price: {amount: 0.17, per: 0.5 s}',
    'id: roaming, match: {usage_type: voice, visited_network: "2"}, graduated: [{up_to: 9 s, flat: 1}, {price: {amount: 2, per: 7 s}}]',
    "id: video, match: {usage_type: voice, characteristics: {media: video}}, package: {amount: 3, per: 60 s}, counted: record",
    top=f"crossing: split\n{BANDS}",
)


@examples(150)
@given(of=ANY_USAGE, time_zone=st.sampled_from(["UTC", "Australia/Lord_Howe", "Pacific/Kiritimati", "America/Adak"]))
def test_any_usage_that_can_be_decoded_is_priced_or_refused(of: UsageReceived, time_zone: str) -> None:
    try:
        decoded = UsageReceived.from_message(of.to_message())
    except MalformedFact:
        # More digits than anybody keeps.
        assert len(of.quantity.as_tuple().digits) + abs(int(of.quantity.as_tuple().exponent)) > 34
        return
    answer = EVERYTHING.price_usage("basic", decoded, time_zone=time_zone, currency="EUR")
    if isinstance(answer, PricedUsage):
        assert all(0 <= part.numerator <= 10**30 for part in answer.parts)
        assert sum(Fraction(part.charged_quantity) for part in answer.parts) >= Fraction(decoded.quantity)
    else:
        assert isinstance(answer, RejectedUsage)
        assert answer.detail


SOUND = """\
id: base
effective_from: 2026-01-01
currency: EUR
zones: {national: ["+34"]}
time_bands:
  day: {hours: 08:00-18:00, days: [mon, wed-fri]}
offerings:
  basic:
    usage_prices:
      - id: calls
        description: Calls
        match: {usage_type: voice, zone: national, time_band: day}
        price: {amount: 0.10, per: 60 s}
        increments: 60/1
    recurring_prices:
      - {id: fee, description: Fee, amount: 9.99, period: month}
"""


@examples(150)
@given(
    start=st.integers(0, len(SOUND)),
    length=st.integers(0, 12),
    instead=st.sampled_from(
        ["", "[", "]", "{", "}", ":", "- ", "\n", " ", "&a ", "*a", "!x ", "0", "-", "1e9", "|", "? ", "#", '"', "\x85"]
    )
    | st.text(max_size=4),
)
def test_any_text_is_a_rate_book_or_is_told_its_faults(start: int, length: int, instead: str) -> None:
    faults = faults_of(SOUND[:start] + instead + SOUND[start + length :])
    assert faults is None or (faults and all(fault.line >= 1 and fault.message and fault.remedy for fault in faults))


def faults_of(text: str) -> list[Fault] | None:
    """None when the book loads."""
    try:
        parse_rate_book(text, "book.yaml")
    except RateBookInvalid as error:
        return error.faults
    return None

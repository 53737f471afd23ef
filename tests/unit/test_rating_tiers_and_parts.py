"""What rating counts of usage whose price counts the month, and of usage that is split over several prices; with no infrastructure."""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import Charge, ChargeTiers, FormerOffering, LineRounding, Tier, UsageRated, UsageReceived
from libs.money import RoundingMode, sum_fractions
from libs.pricing import RateBooks, parse_rate_book
from libs.pricing.charge_amount import exact_amount, line_amount
from libs.pricing.tiers import tiers_amount
from services.rating.documents import earlier_answer, opened_charge, rated_document
from services.rating.domain.accumulation import Increment, accumulate
from services.rating.domain.charge_ids import terms_of, usage_charge_id
from services.rating.domain.counted import NOTHING_COUNTED, Counted, add_counted
from services.rating.domain.cuts import close
from services.rating.domain.deciding import Decisions, Earlier, Rater, decide
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from tests.rating_world import ZONE, cut
from tests.usages import usage_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)
ADA = "+12125550001"
PRODUCT = Product("line", "ada", "plan", "Plan", "active", datetime(2024, 1, 1, tzinfo=UTC))
LIMITS = UsageLimits(timedelta(hours=1), timedelta(days=365))
BOOK = """
id: BOOK_ID
effective_from: SINCE
currency: USD
time_bands:
  day: {hours: 08:00-18:00}
  evening: {hours: 18:00-08:00}
offerings:
  plan:
    usage_prices:
      - id: day
        description: Calls by day
        match: {usage_type: voice, time_band: day}
        price: {amount: DAY, per: 60 s}
        setup_fee: 0.10
        crossing: split
      - id: evening
        description: Calls in the evening
        match: {usage_type: voice, time_band: evening}
        price: {amount: 0.06, per: 60 s}
        crossing: split
      - id: minutes
        description: Minutes
        match: {usage_type: video}
        graduated: [{up_to: 100 s, price: {amount: 0.10, per: 1 s}}, {price: {amount: 0.05, per: 1 s}}]
      - id: texts
        description: Texts
        match: {usage_type: sms}
        package: {amount: 1, per: 10 message}
        late_usage: restart
      - id: coarse
        description: Coarse
        match: {usage_type: meter}
        price: {amount: 0.033, per: 1 event}
        rounding: {point: line, mode: down, decimals: 1}
"""


def book(id: str = "one", since: str = "2020-01-01", day: str = "0.12") -> str:
    return BOOK.replace("BOOK_ID", id).replace("SINCE", since).replace("DAY", day)


def books(*texts: str) -> RateBooks:
    return RateBooks([parse_rate_book(text, f"{number}.yaml") for number, text in enumerate(texts or (book(),))])


def usage(id: str, type: str = "video", quantity: str = "60", at: str = "2026-03-02T15:00:00Z") -> UsageReceived:
    units = {"sms": "message", "meter": "event"}
    return usage_of(id=id, identifier=ADA, usage_type=type, started_at=at, quantity=Decimal(quantity), unit=units.get(type, "s"))


def decided(*usages: UsageReceived, by: RateBooks | None = None, cuts: int = 0) -> Decisions:
    account = Account("ada", "USD", ZONE, {"2026-03-01": cuts})
    holdings = Holdings({ADA: (Holding.of(PRODUCT, PRODUCT.started_at, None),)}, {"ada": account})
    return decide(usages, {}, Rater(holdings, by or books(), LIMITS, NOW))


def stored(document: dict) -> dict:
    """As it comes back from MongoDB."""
    if isinstance(document, dict):
        return {name: stored(value) for name, value in document.items()}
    if isinstance(document, list):
        return [stored(value) for value in document]
    return document.to_decimal() if isinstance(document, Decimal128) else document


def charge_of(increment: Increment, before: Counted = NOTHING_COUNTED) -> Charge:
    document = stored(opened_charge(increment.charge.id, increment, NOW, before))
    return Charge.model_validate({**document, "id": document["_id"]})


# Half past five in the afternoon in New York: half an hour by day, half an hour in the evening.
SPLIT = usage("split", "voice", "3600", "2026-03-02T22:30:00Z")


def test_a_usage_that_is_split_counts_in_a_charge_for_each_price():
    decisions = decided(SPLIT, usage("whole", "voice", "60"))
    fact = decisions.answers[0]
    assert isinstance(fact, UsageRated)
    assert [(part.price_id, part.charge_id, part.charged_quantity) for part in fact.parts] == [
        ("day", "ada|line|day|2026-03-01|0", 1800),
        ("evening", "ada|line|evening|2026-03-01|0", 1800),
    ]
    assert (fact.price_id, fact.charge_id, fact.charged_quantity) == ("day", "ada|line|day|2026-03-01|0", 1800)
    assert Fraction(fact.numerator, fact.denominator) == Fraction("0.10") + 30 * Fraction("0.12") + 30 * Fraction("0.06")
    by_day, in_the_evening = (charge_of(increment) for increment in accumulate(decisions.rated).values())
    assert (by_day.usage_count, by_day.quantity, exact_amount(by_day)) == (2, 1860, 2 * Fraction("0.10") + 31 * Fraction("0.12"))
    assert (in_the_evening.usage_count, in_the_evening.quantity, exact_amount(in_the_evening)) == (1, 1800, Fraction("1.80"))


def test_a_split_usage_repeats_its_answer_from_what_is_stored():
    decisions = decided(SPLIT)
    document = stored(rated_document(decisions.rated[0]))
    assert earlier_answer(document) == Earlier(SPLIT, decisions.answers[0])
    assert UsageRated.from_message(decisions.answers[0].to_message()) == decisions.answers[0]


def test_parts_at_two_versions_of_one_price_are_one_usage_of_its_charge():
    changed = books(book(), book("two", "2026-03-02T18:00:00Z", day="0.24"))
    decisions = decided(usage("u", "voice", "3600", "2026-03-02T17:30:00Z"), by=changed)
    (fact,) = decisions.answers
    assert isinstance(fact, UsageRated)
    assert [(part.rate_book, part.charged_quantity) for part in fact.parts] == [("one", 1800), ("two", 1800)]
    (increment,) = accumulate(decisions.rated).values()
    assert (increment.usage_count, increment.quantity) == (1, 3600)
    assert sum_fractions({str(denominator): numerator for denominator, numerator in increment.sums.items()}) == Fraction("10.90")


def test_a_call_over_midnight_is_of_the_month_in_which_it_started():
    (rated,) = decided(usage("long", "voice", "32400", "2026-02-28T22:00:00Z")).rated
    assert [(charge.price.price_id, charge.month.label) for charge in (rated.charge, *rated.others)] == [
        ("day", "2026-02-01"),
        ("evening", "2026-02-01"),
    ]


def test_a_price_that_counts_the_month_adds_its_quantity_and_its_charge_says_how_it_is_priced():
    decisions = decided(usage("a"), usage("b"))
    assert [(fact.numerator, fact.charged_quantity) for fact in decisions.answers] == [(0, 60), (0, 60)]
    (increment,) = accumulate(decisions.rated).values()
    charge = charge_of(increment)
    assert charge.tiers is not None
    assert [(tier.up_to, tier.amount, tier.per) for tier in charge.tiers.tiers] == [(100, Decimal("0.10"), 1), (None, Decimal("0.05"), 1)]
    assert (charge.quantity, line_amount(charge)) == (120, Decimal("11.00"))


def test_late_usage_goes_on_counting_or_begins_anew_as_its_price_says():
    (minutes,) = decided(usage("late"), cuts=2).rated
    assert minutes.charge.continued_ids == [minutes.charge.id.replace("|2|", f"|{sequence}|") for sequence in (0, 1)]
    (texts,) = decided(usage("late", "sms", "1"), cuts=2).rated
    assert (texts.charge.sequence, texts.charge.continued_ids) == (2, [])
    (plain,) = decided(usage("late", "voice"), cuts=2).rated
    assert plain.charge.continued_ids == []


def in_sequences(cuts: Iterable[Sequence[int]], by: RateBooks) -> list[Charge]:
    """The charges of a month whose usages were divided by cuts so."""
    charges: dict[str, Charge] = {}
    for sequence, seconds in enumerate(cuts):
        usages = [usage(f"u-{sequence}-{place}", quantity=str(each)) for place, each in enumerate(seconds)]
        for id, increment in accumulate(decided(*usages, by=by, cuts=sequence).rated).items():
            earlier = [charges[one] for one in increment.charge.continued_ids if one in charges]
            charges[id] = charge_of(increment, add_counted(Counted(each.quantity, each.usage_count) for each in earlier))
    return list(charges.values())


@pytest.mark.parametrize(
    ("cuts", "amounts"),
    [
        ([[10]], ["3.00"]),
        ([[10], [20]], ["3.00", "2.00"]),
        # What a first tier asks even for nothing is asked once, by whatever usage came first.
        ([[0]], ["2.00"]),
        ([[0], [10]], ["2.00", "1.00"]),
        ([[], [10]], ["3.00"]),
        ([[0, 0], [0], [10]], ["2.00", "0.00", "1.00"]),
        ([[10], [0], [20]], ["3.00", "0.00", "2.00"]),
    ],
)
def test_a_flat_amount_is_asked_once_in_a_month(cuts: list[list[int]], amounts: list[str]):
    by = books(book().replace("up_to: 100 s, price: {amount: 0.10, per: 1 s}", "up_to: 100 s, price: {amount: 0.10, per: 1 s}, flat: 2"))
    assert [str(line_amount(charge)) for charge in in_sequences(cuts, by)] == amounts


TIERED = "graduated: [{up_to: 100 s, price: {amount: 0.10, per: 1 s}}, {price: {amount: 0.05, per: 1 s}}]"
MODELS = (
    TIERED,
    TIERED.replace("}},", "}, flat: 2},"),
    TIERED.replace("}},", "}, flat: 2},").replace("graduated", "volume"),
    "package: {amount: 3, per: 40 s, free: 50 s}",
)
COUNTING_BOOKS = [books(book().replace(TIERED, model)) for model in MODELS]


@given(
    by=st.sampled_from(COUNTING_BOOKS),
    cuts=st.lists(st.lists(st.one_of(st.just(0), st.integers(1, 150)), max_size=3), max_size=5),
)
def test_however_cuts_divide_a_month_its_charges_come_to_what_one_cut_would(by: RateBooks, cuts: list[list[int]]):
    def total(cuts: list[list[int]]) -> Fraction:
        return sum((exact_amount(charge) for charge in in_sequences(cuts, by)), Fraction(0))

    assert total(cuts) == total([[each for seconds in cuts for each in seconds]])


@pytest.mark.parametrize(
    ("counted_before", "quantity", "usage_count", "amount"),
    [("0", "10", 1, "3"), ("0", "0", 1, "2"), ("0", "0", 0, "0"), ("10", "20", 1, "2"), ("10", "-10", -1, "-3"), ("10", "0", -1, "0")],
)
def test_a_charge_that_does_not_say_how_many_usages_came_before_means_what_it_meant(
    counted_before: str, quantity: str, usage_count: int, amount: str
):
    tiers = ChargeTiers.model_validate(
        {"model": "graduated", "tiers": [{"amount": "0.1", "per": "1", "flat": "2"}], "counted_before": counted_before}
    )
    assert tiers_amount(tiers, Decimal(quantity), usage_count) == Fraction(amount)


GRADUATED_BOOKS = books()
TIMES = ("2026-03-02T15:00:00Z", "2026-03-02T22:30:00Z", "2026-03-31T22:00:00Z")
Totals = dict[str, tuple[int, Decimal, Fraction]]


def added(batches: list[list[UsageReceived]]) -> Totals:
    """What each charge comes to when usage arrives in these batches."""
    totals: Totals = {}
    for batch in batches:
        for id, increment in accumulate(decided(*batch, by=GRADUATED_BOOKS).rated).items():
            count, quantity, amount = totals.get(id, (0, Decimal(0), Fraction(0)))
            sums = sum_fractions({str(denominator): numerator for denominator, numerator in increment.sums.items()})
            totals[id] = (count + increment.usage_count, quantity + increment.quantity, amount + sums)
    return totals


@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(("voice", "video", "sms", "meter")), st.integers(0, 7_200), st.sampled_from(TIMES)), max_size=12
    ),
    at=st.integers(0, 12),
    chance=st.randoms(use_true_random=False),
)
def test_neither_the_order_of_usages_nor_their_batches_change_what_charges_come_to(
    kinds: list[tuple[str, int, str]], at: int, chance: random.Random
):
    usages = [usage(f"u-{place}", type, str(quantity), when) for place, (type, quantity, when) in enumerate(kinds)]
    shuffled = chance.sample(usages, len(usages))
    assert added([shuffled[:at], shuffled[at:]]) == added([usages])


def test_a_book_that_changes_tiers_within_the_month_begins_a_charge():
    other = book("two", "2026-03-15T00:00:00Z").replace("up_to: 100 s", "up_to: 50 s")
    same = book("two", "2026-03-15T00:00:00Z").replace("amount: 0.10, per: 1 s", "amount: 0.100, per: 1 s")
    usages = usage("a"), usage("b", at="2026-03-20T15:00:00Z")
    assert len(accumulate(decided(*usages, by=books(book(), other)).rated)) == 2
    assert len(accumulate(decided(*usages, by=books(book(), same)).rated)) == 1


def test_a_charge_is_rounded_as_its_book_says_and_billed_with_the_decimals_of_its_currency():
    (increment,) = accumulate(decided(usage("u", "meter", "10")).rated).values()
    charge = charge_of(increment)
    assert charge.line_rounding == LineRounding(mode=RoundingMode.DOWN, decimals=1)
    assert (exact_amount(charge), str(line_amount(charge))) == (Fraction("0.33"), "0.30")


TIERS = ChargeTiers(model="graduated", tiers=(Tier(up_to=Decimal(100), amount=Decimal("0.015"), per=Decimal(1)),))


@pytest.mark.parametrize(
    ("quantity", "sums", "rounding", "amount"),
    [
        ("1", {}, None, "0.02"),
        ("1", {}, LineRounding(mode=RoundingMode.HALF_DOWN), "0.01"),
        ("1", {"1000": Decimal(5)}, LineRounding(mode=RoundingMode.UP), "0.02"),
        ("3", {}, LineRounding(mode=RoundingMode.HALF_EVEN), "0.04"),
        ("3", {}, LineRounding(mode=RoundingMode.DOWN, decimals=1), "0.00"),
    ],
)
def test_the_cut_rounds_what_tiers_and_sums_come_to_once(quantity: str, sums: dict, rounding: LineRounding | None, amount: str):
    (increment,) = accumulate(decided(usage("u")).rated).values()
    changes = {"quantity": Decimal(quantity), "sums": sums, "tiers": TIERS, "line_rounding": rounding}
    closing = close(cut("c", "ada"), Account("ada", "USD", ZONE), [charge_of(increment).model_copy(update=changes)], [], NOW)
    assert [str(line.amount) for line in closing.answer.lines] == [amount]


def test_ids_with_terms_meet_no_other():
    terms = terms_of(TIERS, None)
    assert terms_of(None, None) == ""
    assert terms_of(TIERS.model_copy(update={"counted_before": Decimal(7)}), None) == terms
    assert terms_of(TIERS, LineRounding()) != terms
    plain = usage_charge_id("ada", "line", "p", "2026-03-01", 0)
    assert plain != usage_charge_id("ada", "line", "p", "2026-03-01", 0, terms)


TAXED = """
id: ID
effective_from: SINCE
currency: USD
offerings:
  OFFERING: {TAXusage_prices: [{id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 1, per: 1 s}CATEGORY}]}
"""


def taxed(id: str, since: str, offering: str = "plan", tax: str = "", category: str = "") -> str:
    told = {"ID": id, "SINCE": since, "OFFERING": offering, "TAX": tax, "CATEGORY": category}
    text = TAXED
    for name, value in told.items():
        text = text.replace(name, value, 1)
    return text


def in_march(by: RateBooks, product: Product = PRODUCT) -> list[Charge]:
    """The charges of a call at the start and one at the end of March."""
    holdings = Holdings({ADA: (Holding.of(product, product.started_at, None),)}, {"ada": Account("ada", "USD", ZONE, {})})
    calls = [usage(f"u{day}", "voice", at=f"2026-03-{day:02}T15:00:00Z") for day in (2, 20)]
    return [charge_of(increment) for increment in accumulate(decide(calls, {}, Rater(holdings, by, LIMITS, NOW)).rated).values()]


def test_a_book_that_taxes_a_price_otherwise_begins_a_charge():
    reduced = in_march(books(taxed("one", "2020-01-01"), taxed("two", "2026-03-15", category=", tax_category: reduced")))
    assert [(charge.tax_category, charge.quantity) for charge in reduced] == [(None, 60), ("reduced", 60)]
    included = in_march(books(taxed("one", "2020-01-01"), taxed("two", "2026-03-15", tax="tax: included, ")))
    assert [(charge.is_tax_included, charge.quantity) for charge in included] == [(False, 60), (True, 60)]
    for first, second in (reduced, included):
        assert first.id == "ada|line|calls|2026-03-01|0"
        assert second.id.startswith(f"{first.id}|")


def test_another_offering_begins_a_charge_and_the_first_one_keeps_its_own():
    by = books(taxed("one", "2020-01-01"), taxed("two", "2020-01-01", offering="other"))
    changed = Product(
        *("line", "ada", "other", "Plan", "active", PRODUCT.started_at),
        former_offerings=(FormerOffering(offering_id="plan", until=datetime(2026, 3, 15, tzinfo=UTC)),),
    )
    before, after = in_march(by, changed)
    assert [(each.offering_id, each.quantity) for each in (before, after)] == [("plan", 60), ("other", 60)]
    assert [each.id for each in in_march(by)] == [before.id]

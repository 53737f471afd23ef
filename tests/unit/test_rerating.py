"""Re-rating with no infrastructure: what it decides, and that amounts come to what they had been, had usage been priced so at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from libs.contracts import AllowanceUse, Charge, ChargeKind, ChargeState, RatedPart, UsageReceived
from libs.periods import Period
from libs.pricing import PricedUsage, RateBooks
from libs.pricing.charge_amount import exact_amount
from services.rating.domain.correcting import Correction, Place, place_id
from services.rating.domain.counted import Counted, add_counted, tiers_after
from services.rating.domain.deciding import UsageCharge, usage_charge
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import BillingMonths
from services.rating.domain.repricing import Repricer, Shelf, Standing
from services.rating.domain.rerating import Rerater, Reratings, movements_of, rerated_id
from services.rating.rerated_documents import rerated_document, rerated_fact
from tests.books import read_book
from tests.examples import examples
from tests.unit.test_rating_tiers_and_parts import stored

NOW = datetime(2026, 4, 10, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
LABEL = "2026-03-01"
LINE = Product("line", "ada", "plan", "Plan", "active", datetime(2025, 1, 1, tzinfo=UTC))


def books_of(*texts: str) -> RateBooks:
    """Books that take effect one after the other, all before March."""
    listed = [
        read_book(
            f"{{id: b{number}, effective_from: 2026-01-{number + 1:02d}, currency: EUR, offerings: {{plan: {{usage_prices: [{text}]}}}}}}",
            f"b{number}.yaml",
        )
        for number, text in enumerate(texts)
    ]
    return RateBooks(listed)


def price(model: str, id: str = "calls", match: str = "usage_type: voice") -> str:
    return f"{{id: {id}, description: Calls, match: {{{match}}}, {model}}}"


def by_minute(amount: str, more: str = "") -> str:
    return price(f"price: {{amount: {amount}, per: 60 s}}{more}")


@dataclass
class World:
    """One account with one product: its charges, and usages with the outcomes that stand."""

    books: RateBooks
    charges: dict[str, Charge] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    cuts: int = 0
    requests: int = 0

    @property
    def account(self) -> Account:
        return Account("ada", "EUR", "UTC", {LABEL: self.cuts})

    @property
    def total(self) -> Fraction:
        """What all charges come to, exactly; cut or not."""
        return sum((exact_amount(charge) for charge in self.charges.values()), Fraction(0))

    def rate(self, *seconds: int) -> None:
        for each in seconds:
            number = len(self.standings)
            usage = UsageReceived(
                id=f"u{number}",
                identifier="+1",
                usage_type="voice",
                started_at=MARCH + timedelta(hours=number),
                quantity=Decimal(each),
                unit="s",
            )
            priced = self.books.price_usage("plan", usage, time_zone="UTC", currency="EUR")
            assert isinstance(priced, PricedUsage)
            month = BillingMonths().containing(usage.started_at, "UTC")
            places = [usage_charge(self.account, LINE, part.price, month) for part in priced.parts]
            parts = tuple(
                RatedPart(
                    price_id=part.price_id,
                    charge_id=place.id,
                    charged_quantity=part.charged_quantity,
                    numerator=part.numerator,
                    denominator=part.denominator,
                    rate_book=part.rate_book,
                )
                for part, place in zip(priced.parts, places, strict=True)
            )
            self.standings[usage.id] = Standing(usage, "ada", "line", "EUR", parts, parts)
            for part, place in zip(parts, places, strict=True):
                self._open(place)
                self._add(place.id, 1, part.charged_quantity, {part.denominator: part.numerator})

    def live(self, months: Iterable[tuple[Sequence[int], bool]]) -> None:
        """Some usages at a time, each with a cut afterwards or not."""
        for seconds, is_cut in months:
            self.rate(*seconds)
            if is_cut:
                self.cut()

    def cut(self) -> None:
        self.charges = {id: charge.model_copy(update={"state": ChargeState.CLOSED}) for id, charge in self.charges.items()}
        self.cuts += 1

    def rerate(self, books: RateBooks | None = None, preferred: str | None = None, request_id: str | None = None) -> Reratings:
        """Decide and post, as the store does."""
        self.books = books or self.books
        self.requests += 1
        named = next((book for book in self.books.books if book.id == preferred), None)
        repricer = Repricer(self.account, Shelf.of(self.books, named), self.charges, {"line": LINE})
        rerater = Rerater(request_id or f"r{self.requests}", repricer, NOW)
        reratings = rerater.rerate(self.standings.values())
        for place in reratings.places.values():
            self._open(place)
        for charge_id, movement in movements_of(reratings.fresh).items():
            self._add(charge_id, movement.usage_count, movement.quantity, movement.sums)
        for fact in reratings.fresh:
            standing = self.standings[fact.usage_id]
            self.standings[fact.usage_id] = replace(standing, parts=fact.new, number=fact.number)
        return reratings

    def _open(self, place: Place) -> None:
        if place_id(place) in self.charges or isinstance(place, Charge):
            return
        charge, continued = (place.charge, place.continued_ids) if isinstance(place, Correction) else (_opened(place), place.continued_ids)
        if charge.tiers is not None:
            found = [self.charges[id] for id in continued if id in self.charges]
            counted = add_counted(Counted(each.quantity, each.usage_count) for each in found)
            charge = charge.model_copy(update={"tiers": tiers_after(charge.tiers, counted)})
        self.charges[charge.id] = charge

    def _add(self, charge_id: str, usage_count: int, quantity: Decimal, sums: dict[int, int]) -> None:
        charge = self.charges[charge_id]
        assert charge.state is ChargeState.OPEN, f"{charge_id} was cut"
        added = dict(charge.sums)
        for denominator, numerator in sums.items():
            added[str(denominator)] = added.get(str(denominator), Decimal(0)) + numerator
        changes = {"usage_count": charge.usage_count + usage_count, "quantity": charge.quantity + quantity, "sums": added}
        self.charges[charge_id] = charge.model_copy(update=changes)


def _opened(place: UsageCharge) -> Charge:
    return Charge(
        id=place.id,
        account_id="ada",
        product_id="line",
        product_name="Plan",
        offering_id=place.product.offering_id,
        price_id=place.price.price_id,
        kind=ChargeKind.USAGE,
        description=place.price.description,
        currency="EUR",
        period=Period(start=place.month.start, end=place.month.end),
        sequence=place.sequence,
        tiers=place.price.tiers,
        line_rounding=place.price.line_rounding,
        updated_at=NOW,
    )


def test_the_fact_tells_old_and_new_and_posts_their_difference() -> None:
    world = World(books_of(by_minute("0.10")))
    world.rate(90)
    (fact,) = world.rerate(books_of(by_minute("0.10"), by_minute("0.40", ", increments: 60/60"))).fresh

    (old,), (new,) = fact.old, fact.new
    assert (old.rate_book, old.charged_quantity, Fraction(old.numerator, old.denominator)) == ("b0", 90, Fraction(15, 100))
    assert (new.rate_book, new.charged_quantity, Fraction(new.numerator, new.denominator)) == ("b1", 120, Fraction(80, 100))
    assert sum(Fraction(posting.numerator, posting.denominator) for posting in fact.postings) == Fraction(65, 100)
    assert sum(posting.quantity for posting in fact.postings) == 30
    assert sum(posting.usage_count for posting in fact.postings) == 0


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        (by_minute("0.10"), False),
        (price("price: {amount: 0.100, per: 60 s}"), False),
        (price("price: {amount: 0.20, per: 120 s}"), False),
        (by_minute("0.11"), True),
        (by_minute("0.10", ", increments: 100/1"), True),
        (price("price: {amount: 0.10, per: 60 s}", id="other"), True),
        (price("price: {amount: 0.10, per: 60 s}, rounding: {point: line, mode: up, decimals: 2}"), True),
    ],
)
def test_only_another_price_quantity_amount_or_rounding_is_a_difference(text: str, *, differs: bool) -> None:
    world = World(books_of(by_minute("0.10")))
    world.rate(60)
    assert bool(world.rerate(books_of(by_minute("0.10"), text)).fresh) is differs


def test_a_preferred_book_goes_before_those_of_today_and_holds_whenever_it_takes_effect() -> None:
    later = read_book(
        "{id: later, effective_from: 2027-01-01, currency: EUR, offerings: {plan: {usage_prices: [" + by_minute("0.30") + "]}}}",
        "later.yaml",
    )
    world = World(books_of(by_minute("0.10")))
    world.rate(60)
    assert not world.rerate(RateBooks([*world.books.books, later])).fresh
    (fact,) = world.rerate(preferred="later").fresh
    assert fact.new[0].rate_book == "later"
    assert world.total == Fraction(30, 100)


def test_a_request_that_comes_again_repeats_its_facts() -> None:
    world = World(books_of(by_minute("0.10")))
    world.rate(60)
    (fact,) = world.rerate(books_of(by_minute("0.10"), by_minute("0.20")), request_id="r").fresh
    world.standings["u0"] = replace(world.standings["u0"], answer=fact)
    again = world.rerate(request_id="r")
    assert (again.fresh, again.repeated, again.places) == ([], [fact], {})


def as_decimals(document: dict[str, Any]) -> dict[str, Any]:
    """Every number of the parts as a decimal, as they were stored once."""
    parts = {
        name: [{key: Decimal(value) if key in NUMBERS else value for key, value in part.items()} for part in document[name]]
        for name in ("old", "new", "postings", "allowances")
    }
    return {**document, **parts}


NUMBERS = ("quantity", "charged_quantity", "numerator", "denominator")


@pytest.mark.parametrize("quantity", ["0", "60", "-60", "0.5", "60.000000001"])
@pytest.mark.parametrize("numerator", [0, -1, 2**63 - 1, 2**63, -(10**28)])
def test_a_fact_comes_back_from_its_document_whatever_its_numbers(quantity: str, numerator: int) -> None:
    world = World(books_of(by_minute("0.10")))
    world.rate(90)
    (fact,) = world.rerate(books_of(by_minute("0.10"), by_minute("0.20"))).fresh
    told = changed(
        fact,
        new=tuple(changed(part, charged_quantity=Decimal(quantity), numerator=numerator) for part in fact.new),
        postings=tuple(changed(posting, quantity=Decimal(quantity), numerator=numerator) for posting in fact.postings),
        allowances=(AllowanceUse(allowance_id="free", bucket_id="b", quantity=Decimal(quantity), denominator=2**64),),
    )
    document = stored(rerated_document(told))
    for form in (document, as_decimals(document)):
        again = rerated_fact(form)
        assert again == told
        assert again.to_message() == told.to_message()


def test_the_id_of_a_fact_is_derived_and_never_too_long() -> None:
    assert rerated_id("r", "u") == "r|u"
    assert len(rerated_id("r" * 200, "u" * 200)) == 64
    assert rerated_id("r" * 200, "u" * 200) != rerated_id("r" * 200, "u" * 199 + "v")


def test_usage_that_was_split_is_reversed_in_all_its_charges_and_counts_once_in_each() -> None:
    bands = (
        "{id: split, effective_from: 2026-01-01, currency: EUR, crossing: split, time_bands: {night: {hours: 00:00-00:10}}, offerings: "
        "{plan: {usage_prices: ["
        + price("price: {amount: 0.60, per: 60 s}", id="day")
        + ", "
        + price("price: {amount: 0.06, per: 60 s}", id="night", match="usage_type: voice, time_band: night")
        + "]}}}"
    )
    split = read_book(bands, "split.yaml")
    world = World(RateBooks([split]))
    world.rate(1200)
    assert {charge.price_id: charge.usage_count for charge in world.charges.values()} == {"night": 1, "day": 1}
    flat = read_book(
        "{id: flat, effective_from: 2026-02-01, currency: EUR, offerings: {plan: {usage_prices: ["
        + price("price: {amount: 0.60, per: 60 s}", id="day")
        + "]}}}",
        "flat.yaml",
    )
    (fact,) = world.rerate(RateBooks([split, flat])).fresh

    assert (len(fact.old), len(fact.new)) == (2, 1)
    assert {charge.price_id: (charge.usage_count, charge.quantity) for charge in world.charges.values()} == {
        "night": (0, 0),
        "day": (1, 1200),
    }
    assert world.total == Fraction(12)


def test_corrections_of_a_month_have_its_period_and_the_sequence_of_the_next_bill() -> None:
    world = World(books_of(by_minute("0.10")))
    world.rate(60)
    world.cut()
    world.cut()
    world.rerate(books_of(by_minute("0.10"), by_minute("0.05")))
    correction = world.charges["ada|line|calls|2026-03-01|2|corrected"]
    assert (correction.kind, correction.period.start, correction.sequence) == (ChargeKind.ADJUSTMENT, MARCH, 2)
    assert exact_amount(correction) == Fraction(-5, 100)


def test_usage_stays_as_it_is_where_nobody_knows_what_an_allowance_paid() -> None:
    world = World(books_of(by_minute("0.10")))
    world.rate(90)
    one = AllowanceUse(allowance_id="free", bucket_id="b", quantity=Decimal(1))
    world.standings["u0"] = replace(world.standings["u0"], allowances=(one,))
    told = world.rerate(books_of(by_minute("0.10"), by_minute("0.20")))
    assert (told.fresh, told.unpriced) == ([], ["u0: allowance free paid for it, which offering plan of rate book b0 does not have"])


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_flat_amount_goes_with_the_last_usage_that_it_was_due_for(*, is_cut: bool) -> None:
    with_flat = price("graduated: [{price: {amount: 0.01, per: 1 s}, flat: 5}]")
    world = World(books_of(with_flat))
    world.rate(60)
    if is_cut:
        world.cut()
    world.rerate(books_of(with_flat, by_minute("0.10")))
    assert world.total == Fraction(10, 100)


def standard(cents: int, first: int, fee: int) -> str:
    return f"price: {{amount: 0.{cents:02d}, per: 60 s}}, increments: {first}/1, setup_fee: 0.{fee:02d}"


def tiered(model: str, edge: int, first: int, then: int, flat: int) -> str:
    lower = f"{{up_to: {edge} s, price: {{amount: 0.{first:02d}, per: 1 s}}, flat: {flat}}}"
    return f"{model}: [{lower}, {{price: {{amount: 0.{then:02d}, per: 1 s}}}}]"


def package(pack: int, free: int) -> str:
    return f"package: {{amount: 3, per: {pack} s, free: {free} s}}"


def _counts_month(model: str) -> bool:
    return not model.startswith("price")


# What changes from one book to the next: amounts, increments, fees, and whether the month counts.
CENTS = st.integers(0, 99)
MODELS = st.one_of(
    st.builds(standard, CENTS, st.integers(1, 90), CENTS),
    st.builds(tiered, st.sampled_from(["graduated", "volume"]), st.integers(1, 300), CENTS, CENTS, st.integers(0, 2)),
    st.builds(package, st.integers(1, 200), st.integers(1, 100)),
)
IDS = st.sampled_from(["calls", "other"])
PRICES = st.builds(price, MODELS, IDS)
# Where late usage counts anew, it matters what was cut when; so such prices do not come to what they would have at once.
RESTARTING = st.builds(lambda model, id: price(f"{model}, late_usage: restart", id), MODELS.filter(_counts_month), IDS)
ANY_PRICES = st.one_of(PRICES, RESTARTING)
SECONDS = st.lists(st.one_of(st.just(0), st.integers(1, 200)), max_size=4)


def rated_at_once(books: RateBooks, seconds: Sequence[int]) -> Fraction:
    world = World(books)
    world.rate(*seconds)
    return world.total


@examples(60)
@given(ANY_PRICES, SECONDS, SECONDS, SECONDS)
def test_the_same_book_changes_nothing(text: str, first: list[int], second: list[int], third: list[int]) -> None:
    world = World(books_of(text))
    for seconds in (first, second, third):
        world.rate(*seconds)
        before = world.charges
        assert world.rerate().facts == []
        assert world.charges == before
        world.cut()


@examples(150)
@given(st.lists(PRICES, min_size=2, max_size=4), st.lists(st.tuples(SECONDS, st.booleans()), min_size=1, max_size=4))
def test_charges_and_corrections_come_to_what_the_new_price_asks(texts: list[str], months: list[tuple[list[int], bool]]) -> None:
    """Whatever was cut in between, and however often prices changed."""
    world = World(books_of(texts[0]))
    so_far: list[int] = []
    for number in range(1, len(texts) + 1):
        world.live(months)
        so_far += [each for seconds, _ in months for each in seconds]
        world.rerate(books_of(*texts[:number]))
        assert world.total == rated_at_once(world.books, so_far)
        assert not world.rerate().fresh


@examples(100)
@given(
    st.sampled_from([PRICES, RESTARTING]).flatmap(lambda prices: st.lists(prices, min_size=2, max_size=3)),
    st.lists(st.tuples(SECONDS, st.booleans()), min_size=1, max_size=4),
)
def test_they_come_to_what_the_same_cuts_would_have_made_of_the_new_price(texts: list[str], months: list[tuple[list[int], bool]]) -> None:
    """Also where late usage counts anew."""
    world = World(books_of(texts[0]))
    world.live(months)
    for number in range(2, len(texts) + 1):
        world.rerate(books_of(*texts[:number]))
    from_the_start = World(world.books)
    from_the_start.live(months)
    assert world.total == from_the_start.total


@examples(60)
@given(ANY_PRICES, ANY_PRICES, SECONDS, SECONDS, st.booleans())
def test_the_old_price_coming_back_gives_back_what_it_took(
    old: str, new: str, first: list[int], late: list[int], cut_between: bool
) -> None:
    world = World(books_of(old))
    world.rate(*first)
    world.cut()
    world.rate(*late)
    before = world.total
    world.rerate(books_of(old, new))
    if cut_between:
        world.cut()
    world.rerate(preferred="b0")
    assert world.total == before

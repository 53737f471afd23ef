"""Ids of charges: whatever books, products and changes of offering there are, no two charges of an account have one id."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import bson
from hypothesis import given
from hypothesis import strategies as st

from libs.billing.adjustments import Adjustment
from libs.contracts import Charge, ChargeKind, ChargeState, FormerOffering, PeriodCut, RunType, UsageReceived
from libs.contracts.derived_ids import joined_id
from libs.periods import Period, calendar_month
from libs.pricing import PricedUsage, RateBook, RateBooks, parse_rate_book
from libs.runtime import from_document
from libs.runtime.mongo import CODEC_OPTIONS
from services.rating.documents import opened_charge
from services.rating.domain.accumulation import Increment
from services.rating.domain.charge_ids import adjustment_charge_id, terms_of
from services.rating.domain.counted import NOTHING_COUNTED
from services.rating.domain.cuts import Closing, decide_cut
from services.rating.domain.deciding import UsageCharge, usage_charge
from services.rating.domain.fees import ChargedAs
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import BillingMonths
from tests.accounts_to_cut import Stored
from tests.examples import examples

ZONE = "Europe/Madrid"
ACCOUNT = Account("ada", "EUR", ZONE)
# Parts that look like several, or like others that were escaped.
hostile = st.text(alphabet="a|%7C25:. ", min_size=1, max_size=6)
part_lists = st.lists(hostile, min_size=2, max_size=5)
OFFERINGS = ("small", "large", "huge")
CATEGORIES = (None, "reduced", "reduced tax-included", "a", "a offering:large", "a%20offering:large")


@given(part_lists, part_lists)
def test_two_lists_of_parts_never_make_one_id(one: list[str], other: list[str]) -> None:
    assert (joined_id(*one) == joined_id(*other)) is (one == other)


def test_a_part_that_looks_escaped_is_told_apart_from_one_that_was() -> None:
    lists = [("a|b", "c"), ("a%7Cb", "c"), ("a", "b|c"), ("a", "b%7Cc"), ("a%25", "c")]
    assert len({joined_id(*parts) for parts in lists}) == 5


def test_ids_of_ordinary_parts_are_those_that_are_stored() -> None:
    assert joined_id("ada", "line 10%", "2026-03-01") == "ada|line 10%|2026-03-01"
    assert joined_id("ada", "run|ada") == "ada|run%7Cada"


taxed = st.tuples(st.sampled_from(CATEGORIES), st.booleans(), st.sampled_from((None, "large", "b offering:c")))


@given(taxed, taxed)
def test_terms_tell_charges_apart_that_are_taxed_otherwise_or_of_another_offering(
    one: tuple[str | None, bool, str | None], other: tuple[str | None, bool, str | None]
) -> None:
    assert (terms_of(None, None, *one) == terms_of(None, None, *other)) is (one == other)


adjusted = st.tuples(
    st.sampled_from(OFFERINGS),
    st.sampled_from((ChargeKind.DISCOUNT, ChargeKind.CAP, ChargeKind.COMMITMENT)),
    hostile,
    st.sampled_from(CATEGORIES),
    st.booleans(),
    st.sampled_from((("2026-01-01", "2026-02-01"), ("2026-01-01", "2026-04-01"))),
    hostile,
)


@given(adjusted, adjusted)
def test_everything_that_tells_adjustments_apart_is_in_their_ids(one: tuple, other: tuple) -> None:
    def id_of(offering: str, kind: ChargeKind, id: str, category: str | None, included: bool, days: tuple[str, str], cut_id: str) -> str:
        adjustment = Adjustment(kind, id, "D", category, Decimal(-1), included)
        return adjustment_charge_id("ada", "p", offering, adjustment, days, cut_id)

    assert (id_of(*one) == id_of(*other)) is (one == other)


# --- whole closings

dates = st.sampled_from(("2026-01-01", "2026-02-10", "2026-03-01", "2026-03-11", "2026-03-11T09:30:00+01:00"))


@st.composite
def offering_texts(draw: st.DrawFn) -> list[str]:
    """The lines of an offering; every id comes from a few, so that they repeat from offering to offering and from book to book."""
    free = draw(st.permutations(("ten", "calls", "a", "a.reduced", "line", "c", "set")))
    taxed = draw(st.sampled_from(("", ", tax_category: reduced")))
    occasion = draw(st.sampled_from(("activation", "termination")))
    fee = f"period: {draw(st.sampled_from(('month', 'week', 'quarter')))}, charged: {draw(st.sampled_from(('advance', 'arrears')))}"
    lines = [
        f"usage_prices: [{{id: {free[0]}, description: U, match: {{usage_type: voice}}, price: {{amount: 1, per: 1 event}}{taxed}}}]",
        f"recurring_prices: [{{id: {free[1]}, description: F, amount: 31, {fee}}}]",
        f"one_time_prices: [{{id: {free[2]}, description: S, amount: 5, charged_at: {occasion}}}]",
        f"discounts: [{{id: {free[3]}, description: D, percent: 10}}, {{id: {free[4]}, description: D, fixed: 3}}]",
        f"spending_cap: {{id: {free[5]}, description: C, amount: {draw(st.sampled_from((40, 500)))}}}",
        f"minimum_commitment: {{id: {free[6]}, description: M, amount: 35, period: {draw(st.sampled_from(('month', 'quarter', 'year')))}}}",
        f"tax: {draw(st.sampled_from(('included', 'excluded')))}",
    ]
    return [line for line in lines if line.startswith("usage") or draw(st.integers(0, 3))]


@st.composite
def many_books(draw: st.DrawFn) -> RateBooks:
    books: list[RateBook] = []
    for number, since in enumerate(["2020-01-01", *draw(st.lists(dates, max_size=2, unique=True))]):
        text = [f"id: book-{number}", f"effective_from: {since}", f"time_zone: {ZONE}", "currency: EUR", "offerings:"]
        for offering in OFFERINGS:
            text += [f"  {offering}:", *(f"    {line}" for line in draw(offering_texts()))]
        books.append(parse_rate_book("\n".join(text) + "\n", f"{number}.yaml"))
    return RateBooks(books)


moments = st.integers(0, 110 * 86_400).map(lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second))


@st.composite
def held_products(draw: st.DrawFn) -> list[Product]:
    products = []
    for id in draw(st.sampled_from((["p"], ["p", "p|ten"], ["p", "p%7Cten"]))):
        started, *changes = sorted(draw(st.lists(moments, min_size=1, max_size=4, unique=True)))
        offerings = draw(st.lists(st.sampled_from(OFFERINGS), min_size=len(changes) + 1, max_size=len(changes) + 1))
        formers = tuple(FormerOffering(offering_id=had, until=until) for had, until in zip(offerings, changes, strict=False))
        ended = draw(st.none() | st.just(datetime(2026, 4, 25, 12, tzinfo=UTC)))
        products.append(Product(id, "ada", offerings[-1], "Line", "active", started, ended, former_offerings=formers))
    return products


class Months:
    """An account over its months: usage opens charges, cuts close them and make others, each cut on what those before it left."""

    def __init__(self, books: RateBooks) -> None:
        self.books = books
        self.account = ACCOUNT
        self.charges: dict[str, Charge] = {}
        self.cycles: list[Period] = []
        self.met: set[str] = set()
        self.known: dict[str, ChargedAs] = {}

    def use(self, product: Product, at: datetime) -> None:
        """A usage that the product may be charged for."""
        holder = product.as_of(at)
        priced = self.books.price_usage(holder.offering_id, a_call(at), time_zone=ZONE, currency="EUR")
        if not isinstance(priced, PricedUsage) or at < product.started_at:
            return
        place = usage_charge(self.account, holder, priced.price, BillingMonths().containing(at, ZONE))
        opened = from_document(Charge, stored(opened_charge(place.id, increment(place, priced.numerator), at, NOTHING_COUNTED)))
        before = self.charges.setdefault(place.id, opened)
        assert before.state is ChargeState.OPEN
        assert same_terms(before) == same_terms(opened), "one charge counts what is charged otherwise"

    def cut(self, products: list[Product], at: datetime, period: Period | None = None) -> None:
        """A cut of the cycle, or one on demand. Asserts that nothing it makes has an id that is taken."""
        run_type = RunType.ON_CYCLE if period else RunType.OFF_CYCLE
        id = f"run|{len(self.charges)}.{at:%m%d}"
        asked = PeriodCut(id=id, account_id="ada", run_type=run_type, period=period, cause_id=id, requested_at=at)
        stored = Stored(self.account, self.charges.values(), self.met, self.known, self.cycles)
        closing = decide_cut(stored.to_cut(products, asked, self.books, at), asked, self.books, at)
        assert isinstance(closing, Closing), closing
        self._keep(closing, asked)

    def _keep(self, closing: Closing, asked: PeriodCut) -> None:
        twice = {id: count for id, count in Counter(line.charge_id for line in closing.answer.lines).items() if count > 1}
        assert not twice, "two charges of one closing have one id"
        made = {charge.id: charge for charge in closing.made}
        assert not made.keys() & self.charges.keys(), "a charge has the id of an earlier one"
        self.charges |= made | {charge.id: charge for charge in closing.closed}
        counted = Counter(self.account.cuts) + Counter(closing.month_labels)
        self.account = replace(self.account, cuts=counted)
        if asked.period is not None:
            self.met |= closing.new_products
            self.known |= {id: now for id, now in closing.charged_as.items() if now is not None}
            self.cycles = [*self.cycles, asked.period]
            self.account = replace(self.account, billed_until=asked.period.end)


def a_call(at: datetime) -> UsageReceived:
    return UsageReceived(id="u", identifier="+1", usage_type="voice", started_at=at, quantity=Decimal(7), unit="event")


def increment(place: UsageCharge, numerator: int) -> Increment:
    return Increment(place, usage_count=1, quantity=Decimal(7), sums={place.price.denominator: numerator})


def stored(document: dict[str, Any]) -> dict[str, Any]:
    return bson.decode(bson.encode(document, codec_options=CODEC_OPTIONS), CODEC_OPTIONS)


def same_terms(charge: Charge) -> tuple[object, ...]:
    return charge.product_id, charge.offering_id, charge.price_id, charge.period, charge.tax_category, charge.is_tax_included


def as_heard(product: Product, at: datetime) -> Product:
    """The product as the gateway had told it by then."""
    formers = tuple(former for former in product.former_offerings if former.until <= at)
    ended = product.ended_at if product.ended_at is not None and product.ended_at <= at else None
    return replace(product.as_of(at), former_offerings=formers, ended_at=ended)


@examples(100)
@given(many_books(), held_products(), st.lists(moments, max_size=12), st.lists(moments, max_size=3))
def test_no_two_charges_of_an_account_have_one_id(
    books: RateBooks, products: list[Product], used_at: list[datetime], demanded_at: list[datetime]
) -> None:
    """Over several months with usage, fees and adjustments, with cuts of the cycle and on demand, products changing in between."""
    months = Months(books)
    cycles = [calendar_month(f"2026-0{number}", ZONE) for number in (1, 2, 3, 4)]
    happened: list[tuple[datetime, str, Period | None]] = [
        *((at, "used", None) for at in used_at),
        *((at, "demanded", None) for at in demanded_at),
        *((period.end + timedelta(hours=3), "cycle", period) for period in cycles),
    ]
    for at, what, period in sorted(happened, key=lambda each: (each[0], each[1])):
        heard = [as_heard(product, at) for product in products if product.started_at <= at]
        if what == "used":
            for product in heard:
                months.use(product, at)
        else:
            months.cut(heard, at, period)


def test_both_offerings_of_a_month_have_a_discount_of_one_id() -> None:
    """The cut made two documents of one id."""
    text = """
id: same-id
effective_from: 2026-01-01
time_zone: Europe/Madrid
currency: EUR
offerings:
"""
    for offering, amount in (("small", "0.10"), ("large", "0.20")):
        text += f"""
  {offering}:
    usage_prices: [{{id: calls, description: Calls, match: {{usage_type: voice}}, price: {{amount: {amount}, per: 1 event}}}}]
    discounts: [{{id: ten, description: Tenth, percent: 10, scope: usage}}]
"""
    months = Months(RateBooks([parse_rate_book(text, "same-id.yaml")]))
    changed = datetime(2026, 3, 11, 9, tzinfo=UTC)
    started = datetime(2026, 3, 1, 9, tzinfo=UTC)
    formers = (FormerOffering(offering_id="small", until=changed),)
    product = Product("p", "ada", "large", "Line", "active", started, former_offerings=formers)
    for day in (5, 20):
        months.use(product, datetime(2026, 3, day, 12, tzinfo=UTC))
    march = calendar_month("2026-03", ZONE)
    months.cut([product], march.end + timedelta(hours=3), march)
    discounts = {charge.offering_id: charge.amount for charge in months.charges.values() if charge.kind is ChargeKind.DISCOUNT}
    assert discounts == {"small": Decimal("-0.07"), "large": Decimal("-0.14")}

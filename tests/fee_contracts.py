"""Contracts with recurring fees: drawn about the beginning of a day somewhere, with books and changes within hours of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from libs.contracts import FormerOffering
from libs.periods import calendar_month
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.cuts import Closing
from services.rating.domain.holdings import Account, Product
from tests.cycles import Cycles
from tests.fee_model import Billed, Plan, Time, Version, fees_owed

# Behind, ahead, half an hour off, clocks that change, at midnight too, and a day that is over before it begins elsewhere.
ZONES = (
    *("UTC", "Europe/Madrid", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago"),
    *("America/Santiago", "Australia/Lord_Howe", "Africa/Cairo"),
)
PLANS = (
    *(Plan(1, in_advance, from_activation) for in_advance in (False, True) for from_activation in (False, True)),
    *(Plan(12, in_advance, True) for in_advance in (False, True)),
    Plan(3, True, True),
)
MONTHS = [f"2026-{month:02}" for month in range(2, 8)]
MONTH_AFTER = "2026-08"
BEGAN = datetime(2026, 4, 10, 12, tzinfo=UTC)
NEVER_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Contract:
    """A product as it was in the end, and the books of its time."""

    zone: str
    plan: Plan
    versions: tuple[Version, ...]
    times: tuple[Time, ...]

    @property
    def books(self) -> RateBooks:
        return RateBooks(
            [parse_rate_book(_text(number, version, self.plan), f"{number}.yaml") for number, version in enumerate(self.versions)]
        )

    @property
    def product(self) -> Product:
        *formers, last = self.times
        changes = tuple(FormerOffering(offering_id=time.offering, until=time.end) for time in formers)
        return Product("p", "ada", last.offering, "Line", "active", self.times[0].start, last.end, former_offerings=changes)

    def owed(self, billed_from: datetime | None = None) -> Counter[tuple[str, Fraction]]:
        """What the model says once the last month was billed."""
        until, next_until = (calendar_month(month, self.zone).end for month in (MONTHS[-1], MONTH_AFTER))
        return fees_owed(self.plan, self.versions, self.times, ZoneInfo(self.zone), Billed(until, next_until, billed_from))


def _text(number: int, version: Version, plan: Plan) -> str:
    length = {1: "month", 3: "quarter", 12: "year"}[plan.months]
    how = (
        f"period: {length}, charged: {'advance' if plan.in_advance else 'arrears'}{', anchor: activation' if plan.from_activation else ''}"
    )
    offerings = "".join(
        f"  {offering}:\n    recurring_prices: [{{id: fee, description: Fee, amount: {amount}, {how}}}]\n"
        for offering, amount in version.amounts.items()
    )
    return f"id: book-{number}\neffective_from: {version.since.isoformat()}\ncurrency: EUR\nofferings:\n{offerings}"


def run(contract: Contract, months: Iterable[str], heard_in: str = "", billed_from: datetime | None = None) -> Cycles:
    """Cut the account's cycle for these months. The product is heard of before the cut of `heard_in`."""
    cuts = Cycles(contract.books, Account("ada", "EUR", contract.zone, billed_from=billed_from))
    for month in months:
        products = [contract.product] if month >= heard_in else []
        assert isinstance(cuts.decide(calendar_month(month, contract.zone), products), Closing)
    return cuts


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Starts, changes and books lie within hours of each other, about the beginning of a day somewhere."""
    zone = draw(st.sampled_from(ZONES))
    midnight = datetime(2026, 3, draw(st.sampled_from((1, 8, 29, 31))), tzinfo=ZoneInfo(draw(st.sampled_from(ZONES))))
    nearby = st.integers(-36, 36).map(lambda half_hours: midnight.astimezone(UTC) + timedelta(minutes=30 * half_hours))
    start, *changes = sorted(draw(st.lists(nearby, min_size=1, max_size=3, unique=True)))
    if draw(st.booleans()):
        changes = [*changes, start + timedelta(days=draw(st.integers(3, 60)), hours=7)]
    end = draw(st.none() | st.integers(1, 100).map(lambda days: [start, *changes][-1] + timedelta(days=days, hours=5)))
    offerings = draw(st.lists(st.sampled_from(("small", "large")), min_size=len(changes) + 1, max_size=len(changes) + 1))
    bounds = [start, *changes, end]
    times = tuple(Time(offering, bounds[number], bounds[number + 1], number < len(changes)) for number, offering in enumerate(offerings))
    later = midnight.astimezone(UTC) + timedelta(days=draw(st.integers(20, 70)))
    sinces = draw(st.lists(nearby | st.just(NEVER_BEFORE) | st.just(later), min_size=1, max_size=4, unique=True))
    amounts = st.dictionaries(st.sampled_from(("small", "large")), st.sampled_from((Decimal(30), Decimal(31), Decimal("9.99"))), min_size=1)
    versions = tuple(Version(since, draw(amounts)) for since in sinces)
    return Contract(zone, draw(st.sampled_from(PLANS)), versions, times)

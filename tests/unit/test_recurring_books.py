"""Whatever fee a book may ask: once it loads, each of its periods has an amount that a charge can keep."""

from datetime import UTC, datetime
from decimal import Decimal

from bson.decimal128 import Decimal128
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from libs.contracts import FormerOffering, Suspension
from libs.periods import calendar_month
from libs.pricing import RateBookInvalid, RateBooks, parse_rate_book
from services.rating.domain.fees import FeeHistory, fees_to_charge
from services.rating.domain.holdings import Account, Product

ZONES = st.sampled_from(["Europe/Madrid", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia"])
WORDS = st.sampled_from(["none", "by_day", "fixed_30", "by_second"])
LENGTHS = st.sampled_from(["day", "week", "month", "quarter", "year", "5 days", "28 days", "2 months", "6 months", "3 years"])
AMOUNTS = st.integers(0, 10**27 - 1).map(lambda digits: f"{digits // 10**12}.{digits % 10**12:012}")
TERMS = st.fixed_dictionaries(
    {"amount": AMOUNTS | st.sampled_from(["0", "9.99", "31"]), "period": LENGTHS},
    optional={
        "charged": st.sampled_from(["advance", "arrears"]),
        "anchor": st.one_of(st.sampled_from(["calendar", "activation"]), st.integers(1, 31).map(str)),
        "proration": WORDS | st.tuples(WORDS, WORDS, WORDS).map(lambda words: "{{start: {}, end: {}, change: {}}}".format(*words)),
        "while_suspended": st.sampled_from(["charged", "free"])
        | st.integers(0, 10**5).map(lambda thousandths: f"{thousandths // 1000}.{thousandths % 1000:03}%"),
        "after": LENGTHS,
        "for_first": LENGTHS,
    },
)
BOOK = """
id: any
effective_from: 2000-01-01
currency: EUR
offerings:
  any:
    recurring_prices:
      - {{id: fee, description: Fee, {fee}}}
"""
# Samoa had no 30 December 2011.
INSTANTS = st.datetimes(datetime.fromisoformat("2011-11-01"), datetime.fromisoformat("2012-04-01"), timezones=st.just(UTC))


@settings(deadline=None)
@given(TERMS, ZONES, st.lists(INSTANTS, min_size=1, max_size=5, unique=True).map(sorted), INSTANTS)
def test_every_fee_of_a_book_that_loads_can_be_kept(terms: dict[str, str], zone: str, moments: list[datetime], changed: datetime) -> None:
    fee = ", ".join(f"{key}: {value}" for key, value in terms.items())
    text = BOOK.format(fee=fee)
    try:
        books = RateBooks([parse_rate_book(text, "any.yaml")])
    except RateBookInvalid:
        assume(False)
    started, *rest = moments
    product = Product(
        "p",
        "a",
        "any",
        "Any",
        "active",
        started,
        rest[-1] if len(rest) % 2 else None,
        suspensions=tuple(Suspension(start=start, end=end) for start, end in zip(rest[::2], rest[1::2], strict=False)),
        former_offerings=(FormerOffering(offering_id="any", until=changed),),
    )
    for month in ("2011-12", "2012-02", "2012-03"):
        period = calendar_month(month, zone)
        account = Account("a", "EUR", zone)
        for fee in fees_to_charge(account, [product], period, books, FeeHistory()):
            charge = fee.charge(account, period.end)
            ((denominator, numerator),) = charge.sums.items()
            assert Decimal128(numerator).to_decimal() == numerator
            assert 0 < numerator <= Decimal(terms["amount"]) * int(denominator) or Decimal(terms["amount"]) == numerator == 0
            # Where a start is not prorated, the time before it is due as well.
            assert charge.period.end > started or terms.get("proration", "").startswith(("none", "{start: none"))

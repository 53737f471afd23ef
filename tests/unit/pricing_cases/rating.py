"""TIM-01, CON-03 and CON-05: which month a usage counts in, and what comes twice."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from libs.billing.bill import bill_id
from libs.contracts import BillRunRequested, PeriodCut, RunType, UsageRated, UsageReceived
from libs.periods import time_zone
from libs.pricing import RateBooks, parse_rate_book
from services.operations.domain.bill_run import advance, begin
from services.operations.domain.run_account import RunAccount, ask, decide, run_account_id
from services.rating.domain import deciding
from services.rating.domain.accumulation import accumulate
from services.rating.domain.cuts import close, one_per_account
from services.rating.domain.deciding import Earlier, Rater
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from tests.outcomes import issued
from tests.unit.pricing_cases import IN_WORDS, Case, Translation
from tests.usages import usage_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NEW_YORK = "America/New_York"
BOOK = """
id: units
effective_from: 2010-01-01
currency: USD
offerings:
  basic:
    usage_prices:
      - {id: units, description: Units, match: {usage_type: unit}, price: {amount: 1, per: 1 event}}
"""


def rater(started_at: datetime = datetime(2020, 1, 1, tzinfo=UTC), zone: str = NEW_YORK) -> Rater:
    product = Product("line", "ada", "basic", "Basic", "active", started_at)
    holdings = Holdings({"ada": (Holding.of(product, started_at, None),)}, {"ada": Account("ada", "USD", zone)})
    books = RateBooks([parse_rate_book(BOOK, "units.yaml")])
    return Rater(holdings, books, UsageLimits(timedelta(hours=1), timedelta(days=3_650)), NOW)


def unit(id: str, at: datetime) -> UsageReceived:
    return usage_of(id=id, identifier="ada", usage_type="unit", started_at=at, quantity=Decimal(1), unit="event")


def tim_01(case: Case) -> dict[str, Decimal]:
    """Counted alike whether the customer came in summer or in winter time."""
    zone = case["given"]["zone"]
    done = re.fullmatch(r"one unit at each of: (\d{4})-(.*) \(local time\)", case["do"])
    assert done is not None, case["do"]
    year, written = done.groups()
    times = [datetime.fromisoformat(f"{year}-{time}").replace(tzinfo=time_zone(zone)) for time in written.split(", ")]
    usages = [unit(f"u-{number}", at) for number, at in enumerate(times)]
    by_month: list[dict[str, Decimal]] = []
    for came_at in (datetime(2022, 7, 1, tzinfo=UTC), datetime(2022, 12, 1, tzinfo=UTC)):
        decisions = deciding.decide(usages, {}, rater(came_at, zone))
        increments = accumulate(decisions.rated).values()
        by_month.append({f"{datetime.fromisoformat(each.charge.month.label):%B}".lower(): each.quantity for each in increments})
    assert by_month[0] == by_month[1]
    return by_month[0]


def con_03(case: Case) -> object:
    """In one message after the other, and in one batch: the answer is repeated, and counts once."""
    usage = unit("u-1", datetime(2026, 3, 2, tzinfo=UTC))
    first = deciding.decide([usage, usage], {}, rater())
    (increment,) = accumulate(first.rated).values()
    assert (increment.usage_count, increment.quantity) == (1, 1)
    answer, repeated = first.answers
    assert isinstance(answer, UsageRated)
    again = deciding.decide([usage], {usage.id: Earlier(usage, answer)}, rater())
    assert (again.rated, again.answers, repeated) == ([], [answer], answer)
    return IN_WORDS


def con_05(case: Case) -> object:
    """The run is asked for again while the cuts of its accounts are on their way: same cut, same bill, counted once."""
    run = begin(BillRunRequested(id="monthly:2026-03", cycle="monthly", period="2026-03", requested_at=NOW), account_count=1)
    account = RunAccount(id=run_account_id(run.id, "ada"), run_id=run.id, account_id="ada", time_zone=NEW_YORK)
    cut, asked_again = ask(account, run), ask(account, run)
    assert isinstance(cut, PeriodCut)
    assert asked_again == cut
    assert one_per_account([cut, cut]) == [[cut]]
    closing, repeated = (close(each, Account("ada", "USD", NEW_YORK), [], [], NOW).answer for each in (cut, cut))
    assert bill_id(closing, NEW_YORK) == bill_id(repeated, NEW_YORK)
    bill = issued("ada", run.id, RunType.ON_CYCLE, "12.10", "USD")
    decided = decide(account, bill, NOW)
    assert decide(decided, bill, NOW) is decided
    assert advance(run, [(account, decided)], NOW).counts.billed == 1
    return IN_WORDS


CASES: dict[str, Translation] = {"TIM-01": tim_01, "CON-03": con_03, "CON-05": con_05}

"""The audit of fees: it finds none missing that was charged, and every one that was not."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from libs.audit.domain.difference import Category, Difference
from libs.audit.domain.fees import BilledAccount, ChargedFee, KnownProduct, check_fees
from libs.contracts import Charge
from libs.money import sum_fractions
from libs.periods import calendar_month
from libs.pricing import RateBooks
from services.rating.domain.holdings import Account, Product
from tests.examples import examples
from tests.fee_contracts import BEGAN, MONTHS, NEVER_BEFORE, PLANS, Contract, contracts, run
from tests.fee_model import Time, Version

MADRID = "Europe/Madrid"
MONTHLY = Contract(MADRID, PLANS[0], (Version(NEVER_BEFORE, {"small": Decimal(31)}),), (Time("small", BEGAN, None, False),))


def known(product: Product) -> KnownProduct:
    offerings = (*((former.offering_id, former.until) for former in product.former_offerings), (product.offering_id, None))
    return KnownProduct(
        product.id, product.started_at, product.ended_at, offerings, tuple((each.start, each.end) for each in product.suspensions)
    )


def checked(account: Account, product: Product, charges: Iterable[Charge], books: RateBooks) -> list[Difference]:
    assert account.billed_until is not None
    billed = BilledAccount(account.id, account.currency, account.time_zone, account.billed_until, account.billed_from)
    fees = [ChargedFee(charge.price_id, charge.period, sum_fractions(charge.sums)) for charge in charges]
    return [each for each in check_fees(billed, known(product), fees, books) if each.found == "none"]


@examples(200)
@given(contracts(), st.data())
def test_what_was_charged_is_found_and_what_is_taken_away_is_missed(contract: Contract, data: st.DataObject) -> None:
    cuts = run(contract, MONTHS)
    charges: Sequence[Charge] = list(cuts.charges.values())
    assert checked(cuts.account, contract.product, charges, contract.books) == []
    assert cuts.account.billed_until is not None
    # A fee in advance of what is not billed yet is nobody's loss.
    begun = [charge for charge in charges if charge.period.start < cuts.account.billed_until]
    if begun:
        lost = data.draw(st.sampled_from(begun))
        (difference,) = checked(cuts.account, contract.product, [charge for charge in charges if charge is not lost], contract.books)
        assert difference.category is Category.FEE_NOT_CHARGED
        assert difference.id == "ada|p|fee"


def test_a_fee_of_the_last_hours_of_a_product_is_missed() -> None:
    began = datetime(2026, 3, 31, tzinfo=UTC)
    hours = Contract(
        "UTC",
        PLANS[0],
        (Version(began + timedelta(minutes=30), {"small": Decimal(30)}),),
        (Time("small", began, datetime(2026, 4, 1, 5, tzinfo=UTC), False),),
    )
    cuts = run(hours, MONTHS)
    assert [charge.amount for charge in cuts.charges.values()] == [Decimal("1.00")]
    (difference,) = checked(cuts.account, hours.product, [], hours.books)
    assert difference.expected.startswith("1 charges of fee from 2026-04-01 to 2026-04-01: ")


def test_what_is_missing_is_told_once_for_each_price_with_its_days() -> None:
    cuts = run(MONTHLY, MONTHS)
    (difference,) = checked(cuts.account, MONTHLY.product, list(cuts.charges.values())[-1:], MONTHLY.books)
    assert difference.expected.startswith("3 charges of fee from 2026-04-10 to 2026-06-30: ")


def test_months_beyond_the_year_are_told_unless_somebody_else_billed_them() -> None:
    old = replace(MONTHLY, times=(Time("small", datetime(2024, 1, 1, tzinfo=UTC), None, False),))
    cuts = run(old, ["2026-07"])
    (difference,) = checked(cuts.account, old.product, cuts.charges.values(), old.books)
    assert "18 charges of fee from 2024-01-01 to 2025-06-30" in difference.expected
    since = calendar_month("2026-07", MADRID).start
    cuts = run(old, ["2026-07"], billed_from=since)
    assert len(cuts.charges) == 1
    assert checked(cuts.account, old.product, cuts.charges.values(), old.books) == []


def test_an_offering_that_was_launched_after_it_was_sold_is_told() -> None:
    launched = replace(MONTHLY, versions=(Version(BEGAN + timedelta(hours=3), {"small": Decimal(31)}),))
    cuts = run(launched, MONTHS)
    assert sorted(charge.period.start.month for charge in cuts.charges.values()) == [4, 5, 6] == [4, 5, 6]
    assert cuts.account.billed_until is not None
    billed = BilledAccount("ada", "EUR", MADRID, cuts.account.billed_until)
    fees = [ChargedFee(charge.price_id, charge.period, sum_fractions(charge.sums)) for charge in cuts.charges.values()]
    (difference,) = check_fees(billed, known(launched.product), fees, launched.books)
    assert difference.expected == "a rate book with fee at 2026-04-10T12:00:00+00:00: the product had the offering by then"


def test_a_fee_that_was_credited_whole_is_missing() -> None:
    cuts = run(MONTHLY, MONTHS)
    charges = list(cuts.charges.values())
    credit = charges[0].model_copy(update={"sums": {key: -value for key, value in charges[0].sums.items()}})
    assert len(checked(cuts.account, MONTHLY.product, [*charges, credit], MONTHLY.books)) == 1

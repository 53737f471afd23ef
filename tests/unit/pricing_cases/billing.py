"""INV-01 to INV-19: what cuts and bills make of charges. Terms go through a rate book, charges through the cut, tax through the bill."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.billing import BillTerms, TaxTable
from libs.billing.adjustments import adjust
from libs.billing.commitments import due_share
from libs.billing.credit_notes import credit_line
from libs.billing.remainders import SummedLine
from libs.contracts import BillIssued, BillIssuer, Charge, ChargeKind, ChargesClosed, ChargeState, PeriodCut, RunType
from libs.money import round_to_minor_unit
from libs.periods import Period, calendar_month, first_moment
from libs.pricing import PricedUsage, RateBooks, parse_rate_book
from libs.pricing.recurring import fee_of, periods_between
from libs.pricing.recurring_share import Subscription
from libs.pricing.tiers import tiers_amount
from services.rating.domain.cuts import AccountToCut, Closing, decide_cut
from services.rating.domain.holdings import Account, Product
from tests.closings import closed, usage_charge
from tests.cycles import Cycles
from tests.outcomes import bill_of
from tests.unit.pricing_cases import Case
from tests.unit.pricing_cases.usage_prices import RAT_41_TIERS
from tests.usages import usage_of

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
CLOSED_AT = datetime(2023, 3, 1, 3, tzinfo=UTC)
FEBRUARY = calendar_month("2023-02", "UTC")
A_DAY = timedelta(days=1)
CALLS = "usage_prices: [{id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 1, per: 1 event}}]"


def books(*terms: str, **offerings: Sequence[str]) -> RateBooks:
    """A book whose offering `basic` has these keys, a line each; or with several offerings."""
    lines = [
        f"  {name}:\n" + "".join(f"    {line}\n" for line in of_offering)
        for name, of_offering in ({"basic": terms} if terms else offerings).items()
    ]
    return RateBooks([parse_rate_book(f"id: case\neffective_from: 2020-01-01\ncurrency: EUR\nofferings:\n{''.join(lines)}", "case.yaml")])


def product(id: str = "line", offering: str = "basic", ended: datetime | None = None) -> Product:
    return Product(id, "ada", offering, "Line", "active", LONG_AGO, ended)


def used(amount: Decimal, state: ChargeState = ChargeState.OPEN) -> Charge:
    """What a product used up to now in February."""
    rounded = None if state is ChargeState.OPEN else amount
    return usage_charge(f"calls-{state}", Fraction(amount), product_id="line", period=FEBRUARY, state=state, amount=rounded)


def cut(by: RateBooks, unbilled: Sequence[Charge], products: Sequence[Product], earlier: Sequence[Charge] = ()) -> ChargesClosed:
    """The cut of the cycle for February."""
    cut = PeriodCut(id="cut", account_id="ada", run_type=RunType.ON_CYCLE, period=FEBRUARY, cause_id="run", requested_at=CLOSED_AT)
    closing = decide_cut(AccountToCut(Account("ada", "EUR", "UTC"), unbilled, products, closed_before=earlier), cut, by, CLOSED_AT)
    assert isinstance(closing, Closing), closing
    return closing.answer


def billed(charges: ChargesClosed, rate: Decimal) -> BillIssued:
    terms = BillTerms(TaxTable.of_rates({"standard": rate}), BillIssuer(name="Tarifa"), "en", "bill-1")
    return bill_of(charges, terms=terms, time_zone="UTC")


def percentage(words: str) -> Decimal:
    return Decimal(words.split("%")[0])


def inv_01(case: Case) -> list[Decimal]:
    """The plan in arrears and the commitment, each for the days of the plan's first period that the customer lived in."""
    plan, minimum = case["given"]["plan"].removesuffix(" in arrears"), case["given"]["minimum_commitment"]
    lengths = {"weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year"}
    missing = []
    for words in case["do"]:
        length, anchor, _, day = words.replace(",", "").split()
        found = books(
            f"recurring_prices: [{{id: plan, description: Plan, amount: {plan}, period: {lengths[length]}, "
            f"anchor: {'activation' if anchor == 'anniversary' else anchor}, charged: arrears}}]",
            f"minimum_commitment: {{id: minimum, description: Minimum, amount: {minimum}}}",
        ).offering("basic", CLOSED_AT, "EUR", "UTC")
        assert found is not None
        (price,), first_day = found.recurring_prices, date.fromisoformat(day)
        starts = first_moment(first_day, "UTC")
        period = next(iter(periods_between(price, Subscription(starts, starts), starts, starts + A_DAY, "UTC")))
        fee = fee_of(price, Subscription(starts, starts), period, "UTC")
        assert fee is not None
        line = SummedLine("plan", ChargeKind.RECURRING, None, round_to_minor_unit(fee.exact, "EUR"), first_day)
        (topped_up,) = adjust(found.adjustments, [line], first_day, "EUR", due_share(period.lived("UTC"), starts, None, "UTC"))
        missing.append(topped_up.amount)
    return missing


def inv_03(case: Case) -> dict[str, Decimal]:
    given = case["given"]
    minimum = given["charge_minimum"].removesuffix(" per month")
    by = books(CALLS, f"minimum_commitment: {{id: minimum, description: M, amount: {minimum}, scope: {{prices: [calls]}}}}")
    last = date.fromisoformat(str(given["terminated"]))
    bill = billed(cut(by, [used(given["usage"])], [product(ended=first_moment(last + A_DAY, "UTC"))]), percentage(given["tax"]))
    usage, true_up = bill.lines
    return {
        "usage": usage.amount,
        "usage_tax": usage.taxes[0].amount,
        "true_up": true_up.amount,
        "true_up_tax": true_up.taxes[0].amount,
        "total": bill.amount_due,
    }


def billed_and_credited(case: Case, length: str, periods: Sequence[Period]) -> tuple[BillIssued, BillIssued]:
    """The bill before the last of these periods, with its fee in advance; and the one after, when the product ended on its first day."""
    plan = case["given"]["plan"].removesuffix(f" {length}ly in advance")
    by = books(f"recurring_prices: [{{id: plan, description: Plan, amount: {plan}, period: {length}, charged: advance}}]")
    cycles = Cycles(by, Account("ada", "EUR", "UTC"))
    ended = product(ended=periods[-1].start + A_DAY / 2)
    closings = [cycles.decide(period, [product() if period.end <= periods[-1].start else ended]) for period in periods]
    answers = [closing.answer for closing in closings if isinstance(closing, Closing)]
    assert len(answers) == len(closings)
    bill, credit = (billed(answer, percentage(case["given"]["tax"])) for answer in answers[-2:])
    return bill, credit


def credited(credit: BillIssued) -> dict[str, Decimal]:
    """What is given back, by the bill that has nothing else."""
    (line,) = credit.lines
    (tax,) = credit.tax_items
    assert line.amount + tax.amount == credit.amount_due
    return {"net": -line.amount, "tax": -tax.amount, "total": -credit.amount_due}


def inv_05(case: Case) -> dict[str, Decimal]:
    """April has 30 days; the first is used, the other 29 go back with the next bill."""
    _, credit = billed_and_credited(case, "month", [calendar_month(f"2023-0{number}", "UTC") for number in (2, 3, 4)])
    return credited(credit)


def inv_07(case: Case) -> dict[str, Decimal]:
    """Billed by the week, each bill has the next one's fee."""
    monday = datetime(2023, 4, 3, tzinfo=UTC)
    weeks = [Period(start=monday + 7 * number * A_DAY, end=monday + 7 * (number + 1) * A_DAY) for number in range(3)]
    bill, credit = billed_and_credited(case, "week", weeks)
    return {"invoice_tax": bill.tax_items[0].amount, **credited(credit)}


def inv_09(case: Case) -> dict[str, Decimal]:
    bill = billed(closed("ada", *map(str, case["given"]["lines"])), percentage(case["given"]["tax"]))
    credits = [credit_line(line, Fraction(1), "EUR").total for line in bill.lines]
    return {"invoice_total": bill.amount_due, "four_separate_credit_notes_sum": sum(credits, Decimal(0))}


def discounted(case: Case) -> dict[str, Decimal]:
    """INV-11 and INV-13: what all discounts together take off."""
    listed = []
    for number, words in enumerate(map(str, case["given"]["discounts"])):
        terms = f"percent: {words[:-1]}" if words.endswith("%") else words.replace("fixed ", "fixed: ")
        listed.append(f"{{id: d{number}, description: D, {terms}}}")
    answer = cut(books(CALLS, f"discounts: [{', '.join(listed)}]"), [used(case["given"]["subtotal"])], [product()])
    return {"discount": -sum((line.amount for line in answer.lines if line.kind is ChargeKind.DISCOUNT), Decimal(0))}


def inv_15(case: Case) -> dict[str, Decimal]:
    given = case["given"]
    assert (given["tiers"], given["usage"]) == ("RAT-41", 0)
    by = books(
        f"usage_prices: [{{id: calls, description: Calls, match: {{usage_type: voice}}, {RAT_41_TIERS}}}]",
        f"minimum_commitment: {{id: minimum, description: Minimum, amount: {given['minimum']}}}",
    )
    (line,) = cut(by, [], [product()], [used(Decimal(given["already_billed"]), ChargeState.BILLED)]).lines
    return {"minimum_spend_line": line.amount}


def inv_17(case: Case) -> list[Fraction]:
    """Each month counts its blocks anew; the one of the cancellation counts up to its last day."""
    assert case["given"]["block"] == "100 units at 2.95"
    by = books("usage_prices: [{id: u, description: U, match: {usage_type: unit}, package: {amount: 2.95, per: 100 event}}]")

    def month(*usages: tuple[str, int]) -> Fraction:
        used = [
            usage_of(id=at, identifier="ada", usage_type="unit", started_at=at, quantity=Decimal(units), unit="event")
            for at, units in usages
        ]
        priced = [by.price_usage("basic", usage, time_zone="UTC", currency="EUR") for usage in used]
        counted = [each for each in priced if isinstance(each, PricedUsage)]
        assert len(counted) == len(priced)
        assert counted[0].price.tiers is not None
        return tiers_amount(counted[0].price.tiers, sum((each.charged_quantity for each in counted), Decimal(0)))

    return [
        month(("2023-04-10T00:00:00Z", 99), ("2023-04-20T00:00:00Z", 100)),
        month(("2023-05-10T00:00:00Z", 50), ("2023-05-15T00:00:00Z", 300)),
    ]


def inv_19(case: Case) -> dict[str, Any]:
    """The children's products are on the parent's account, and its bill has a line for each."""
    plans = {
        child: [f"recurring_prices: [{{id: {child}-fee, description: Plan, amount: {amount}, period: month}}]"]
        for child, amount in case["given"].items()
    }
    children = [product(child, offering=child) for child in case["given"]]
    bill = billed(cut(books(**plans), [], children), Decimal(0))
    return {"parent_lines": [line.amount for line in bill.lines], "parent_total": bill.amount_due}


CASES = {
    "INV-01": inv_01,
    "INV-03": inv_03,
    "INV-05": inv_05,
    "INV-07": inv_07,
    "INV-09": inv_09,
    "INV-11": discounted,
    "INV-13": discounted,
    "INV-15": inv_15,
    "INV-17": inv_17,
    "INV-19": inv_19,
}

"""What was priced wrong, or could not be priced: once the tariff is mended, bills come right, and nothing is counted twice."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from libs.audit import audit
from libs.contracts import ChargeKind, TariffPublished, UsageRerated
from libs.devstack.settings import PROJECT_ROOT
from libs.pricing import load_rate_books, parse_rate_book
from libs.pricing.rate_books import RateBooks
from tests.command_line import CommandOutcome, run_tarifa
from tests.usages import usage_of
from tests.world import AUDITED_AT, Customer, World, amounts

BOOKS = load_rate_books(PROJECT_ROOT / "deploy" / "rate-books")
NOW = datetime(2026, 4, 10, tzinfo=UTC)


def day_calls(amount: str, offering: str = "churn-plan") -> str:
    """Calls by day, at another price than ever."""
    return f"""time_bands: {{day: {{hours: 08:00-18:00}}}}
offerings:
  {offering}:
    usage_prices:
      - id: voice-day
        description: Calls, day
        match: {{usage_type: voice, time_band: day}}
        price: {{amount: {amount}, per: 60 s}}
"""


CALLS_ONLY = """offerings:
  texting:
    usage_prices:
      - {id: voice, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 60 s}}
"""
MESSAGES = """offerings:
  texting:
    usage_prices:
      - {id: sms, description: Messages, match: {usage_type: sms}, price: {amount: 0.10, per: 1 message}}
"""


async def publish(world: World, id: str, offerings: str, effective_from: str = "2026-03-01") -> str:
    text = f"id: {id}\neffective_from: {effective_from}\ncurrency: USD\n{offerings}"
    await world.publish(TariffPublished.of(id, text, NOW))
    await world.settle()
    return text


async def rerate(customer: Customer, *options: str) -> CommandOutcome:
    outcome = await run_tarifa(
        customer.world.settings, "rerate", "--account", customer.account_id, "--from", "2026-03-01", "--to", "2026-04-01", *options
    )
    assert outcome.exit_code == 0, outcome.err
    await customer.world.settle()
    return outcome


async def bill_of(customer: Customer, period: str) -> dict[str, Any]:
    """The bill of a cycle's run, which is made when it was not yet."""
    await customer.world.bill_run(period)
    await customer.world.settle()
    bills = [bill for bill in await customer.bills() if bill["billingPeriod"]["startDateTime"].startswith(period)]
    (bill,) = bills
    return bill


async def test_what_was_billed_too_high_is_a_credit_on_the_next_bill(world: World) -> None:
    ada = await world.customer("Ada")
    await ada.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    march = await bill_of(ada, "2026-03")
    await ada.calls(at="2026-04-02 10:00", seconds=600)
    await world.settle()
    corrected = parse_rate_book(await publish(world, "march-corrected", day_calls("0.10")), "march-corrected.yaml")

    dry = await rerate(ada, "--book", "march-corrected", "--dry-run", "--json")
    assert await world.facts(UsageRerated) == []
    real = await rerate(ada, "--book", "march-corrected", "--json")
    assert {**dry.json, "id": "", "dry_run": False, "completed_at": ""} == {**real.json, "id": "", "completed_at": ""}
    assert (real.json["usage_count"], real.json["difference"]) == (1, -0.70)
    again = await rerate(ada, "--book", "march-corrected")
    assert "asked for before" in again.err
    assert "0 of 1 usages" in (await rerate(ada, "--book", "march-corrected", "--again")).out

    april = await bill_of(ada, "2026-04")
    lines = await ada.rates(**{"bill.id": april["id"]})
    assert {(line["description"], amount) for line, amount in zip(lines, amounts(lines), strict=True)} == {
        ("Calls, day", Decimal("1.70")),
        ("Correction: Calls, day", Decimal("-0.70")),
    }
    assert amounts([line for line in await ada.rates(**{"bill.id": march["id"]})]) == [Decimal("1.70")]
    findings = await audit(world.settings, RateBooks([*BOOKS.books, corrected]), lambda subject: None, as_of=AUDITED_AT)
    assert findings.differences == []


async def test_a_bill_of_nothing_but_a_credit_is_issued(world: World) -> None:
    await publish(world, "bob", day_calls("0.20", "bob-plan"))
    bob = await world.customer("Bob", offering="bob-plan")
    await bob.calls(at="2026-03-02 10:00", seconds=600)
    await world.settle()
    await bob.bill_on_demand()
    await world.settle()
    await publish(world, "bob-corrected", day_calls("0.05", "bob-plan"), effective_from="2026-02-01")
    told = await rerate(bob, "--book", "bob-corrected")
    assert "-1.50 USD of it is on the next bill, for charges that were cut" in told.out

    ended = await bob.bill_on_demand()
    assert ended["state"] == "done", ended
    await world.settle()
    assert sum(amounts(await bob.rates())) == Decimal("0.50")
    (credit,) = [
        charge
        async for charge in world.services["rating"].database["charges"].find({"kind": ChargeKind.ADJUSTMENT.value})
        if charge["account_id"] == bob.account_id
    ]
    assert credit["amount"] == Decimal("-1.50")


async def test_what_no_book_priced_is_rated_once_when_one_does(world: World) -> None:
    await publish(world, "calling", CALLS_ONLY)
    eve = await world.customer("Eve", offering="texting")
    texts = [eve.usage(at="2026-03-02 10:00", seconds=1, usage_type="sms", unit="message") for _ in range(3)]
    stranger = usage_of(
        **{**{name: getattr(texts[0], name) for name in texts[0].__struct_fields__}, "id": "stray", "identifier": "+19998887777"}
    )
    await world.publish(*texts, stranger)
    await world.settle()
    waiting = (await run_tarifa(world.settings, "suspense", "list", "--reason", "no-price", "--json")).json
    assert {entry["usage"]["id"] for entry in waiting} == {usage.id for usage in texts}

    await publish(world, "texting", MESSAGES, effective_from="2026-03-02")
    retried = (await run_tarifa(world.settings, "suspense", "retry", "--reason", "no-price", "--json")).json
    await world.publish(*texts)
    await world.settle()

    assert (retried["rated"], retried["suspended"]) == (0, 0)
    (rate,) = await eve.rates()
    assert amounts([rate]) == [Decimal("0.30")]
    left = (await run_tarifa(world.settings, "suspense", "list", "--reason", "unknown-product", "--json")).json
    assert [entry["usage"]["id"] for entry in left] == ["stray"]

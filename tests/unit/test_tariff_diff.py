"""What `tarifa tariff diff` says: each change of a rate book in words, for whom it is, and nothing where nothing changes."""

import pytest

from libs.tariffs import ChangeKind, difference, read_book_document

BOOK = """
id: {id}
effective_from: {effective_from}
currency: EUR
zones:
  national: ["+34"]
  europe: ["+33", "+49"]
time_bands:
  weekend: {{days: sat-sun}}
offerings:
  basic:
    usage_prices:
      - id: calls
        description: National calls
        match: {{usage_type: voice, zone: national}}
        price: {{amount: 0.10, per: 60 s}}
        increments: 60/1
      - id: calls-weekend
        description: Weekend calls
        match: {{usage_type: voice, zone: national, time_band: weekend}}
        price: {{amount: 0.05, per: 60 s}}
      - id: europe
        description: Calls to Europe
        match: {{usage_type: voice, zone: europe}}
        price: {{amount: 0.20, per: 60 s}}
        setup_fee: 0.15
    recurring_prices:
      - id: fee
        description: Monthly fee
        amount: 9.99
        period: month
  spare:
    recurring_prices:
      - id: fee
        description: Monthly fee
        amount: 1
        period: month
"""
OLD = BOOK.format(id="old", effective_from="2026-01-01")
EFFECTIVE = "effective from: 2026-01-01 becomes 2027-01-01"


def changes(*edits: tuple[str, str], new: str = BOOK.format(id="new", effective_from="2026-01-01")) -> list[str]:
    for before, after in edits:
        assert new.count(before) >= 1, before
        new = new.replace(before, after, 1)
    found = difference(read_book_document(OLD, "old.yaml"), read_book_document(new, "new.yaml"))
    return [f"{change.offering}: {change.words}" if change.offering else change.words for change in found]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("amount: 0.10,", "amount: 0.12,", "{calls}: raised from 0.10 EUR per 60 s to 0.12 EUR per 60 s (+0.02 EUR, +20 %)"),
        ("amount: 0.10,", "amount: 0.09,", "{calls}: lowered from 0.10 EUR per 60 s to 0.09 EUR per 60 s (-0.01 EUR, -10 %)"),
        (
            "{amount: 0.20, per: 60 s}",
            "{amount: 0.003, per: 1 s}",
            "{europe}: lowered from 0.20 EUR per 60 s to 0.003 EUR per 1 s (-0.00033333333 EUR, -10 %)",
        ),
        ("amount: 9.99", "amount: 10.99", "Monthly fee (fee): raised from 9.99 EUR to 10.99 EUR (+1 EUR, +10 %)"),
        ("setup_fee: 0.15", "setup_fee: 0.10", "{europe}, setup fee: lowered from 0.15 EUR to 0.1 EUR (-0.05 EUR, -33.3 %)"),
        ("        setup_fee: 0.15\n", "", "{europe}, setup fee: lowered from 0.15 EUR to 0 EUR (-0.15 EUR, -100 %)"),
        ("increments: 60/1", "increments: 60/60", "{calls}: in steps of 60/1 becomes in steps of 60/60"),
        ("        increments: 60/1\n", "", "{calls}: in steps of 60/1 becomes nothing said"),
        ('["+33", "+49"]', '["+33", "+49", "+351"]', "{europe} is now also for numbers with +351"),
        ('["+33", "+49"]', '["+33"]', "{europe} is no longer for numbers with +49"),
        ("{days: sat-sun}", "{days: fri-sun}", "{weekend}, hours of weekend: sat-sun becomes fri-sun"),
        ("description: Monthly fee", "description: Line rental", "fee is called Line rental, it was Monthly fee"),
    ],
)
def test_a_change_is_said_in_words(before: str, after: str, said: str) -> None:
    names = {"calls": "National calls (calls)", "weekend": "Weekend calls (calls-weekend)", "europe": "Calls to Europe (europe)"}
    assert changes((before, after)) == [f"basic: {said.format(**names)}"]


def test_what_means_the_same_is_no_change() -> None:
    same = [
        ("amount: 0.05, per: 60 s", "amount: 0.050, per: 1 min"),
        ('["+34"]', "+34"),
        ('["+33", "+49"]', '["+49", "+33"]'),
        ("amount: 9.99", 'amount: "9.990"'),
        ("  europe:", "  abroad:"),
        ("zone: europe", "zone: abroad"),
    ]
    assert changes(*same) == []


def test_prices_and_offerings_that_come_and_go() -> None:
    new = BOOK.format(id="new", effective_from="2026-01-01")
    start, end = new.index("      - id: calls-weekend"), new.index("      - id: europe")
    premium = """
      - id: premium
        description: Premium
        match: {usage_type: voice, called: '+34803'}
        price: {amount: 1, per: 60 s}
"""
    new = new[:start] + premium.lstrip(chr(10)) + new[end:].replace("  spare:", "  extra:")
    assert changes(new=new) == [
        "basic: usage Weekend calls (calls-weekend) is removed, it was calls to national at weekend, 0.05 EUR per 60 s",
        "basic: usage Premium (premium) is added: calls to +34803, 1 EUR per 60 s",
        "extra: the offering is new",
        "extra: recurring Monthly fee (fee) is added: 1 EUR, period month",
        "spare: left out of new: who has it keeps the prices of old",
    ]


def test_a_change_carries_its_numbers() -> None:
    new = BOOK.format(id="new", effective_from="2027-01-01").replace("amount: 0.10", "amount: 0.12", 1)
    effective, raised = difference(read_book_document(OLD, "old.yaml"), read_book_document(new, "new.yaml"))
    assert effective.words == EFFECTIVE
    assert (raised.kind, raised.offering, raised.subject) == (ChangeKind.RAISED, "basic", "calls")
    assert (raised.before, raised.after) == ("0.10 EUR per 60 s", "0.12 EUR per 60 s")
    assert (raised.difference, raised.percent) == ("+0.02", "+20 %")
    assert effective.offering == ""


def test_a_currency_is_for_everybody_and_no_price_is_compared_across_it() -> None:
    said = changes(("currency: EUR", "currency: USD"))
    assert said[0] == "currency: EUR becomes USD"
    assert "basic: National calls (calls): 0.10 EUR per 60 s becomes 0.10 USD per 60 s" in said
    assert "basic: Monthly fee (fee): 9.99 EUR becomes 9.99 USD" in said

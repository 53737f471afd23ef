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
        ("setup_fee: 0.15", "setup_fee: 0.10", "{europe}, setup fee: lowered from 0.15 EUR to 0.10 EUR (-0.05 EUR, -33.3 %)"),
        ("        setup_fee: 0.15\n", "", "{europe}, setup fee: lowered from 0.15 EUR to 0 EUR (-0.15 EUR, -100 %)"),
        ("increments: 60/1", "increments: 60/60", "{calls}: in steps of 60/1 becomes in steps of 60/60"),
        ("        increments: 60/1\n", "", "{calls}: in steps of 60/1 becomes in steps of 1/1"),
        ('["+33", "+49"]', '["+33", "+49", "+351"]', "{europe} is now also for numbers with +351"),
        ('["+33", "+49"]', '["+33"]', "{europe} is no longer for numbers with +49"),
        ("{days: sat-sun}", "{days: fri-sun}", "{weekend}, hours of weekend: sat-sun becomes fri-sun"),
        ("description: Monthly fee", "description: Line rental", "fee is called Line rental, it was Monthly fee"),
    ],
)
def test_a_change_is_said_in_words(before: str, after: str, said: str) -> None:
    names = {"calls": "National calls (calls)", "weekend": "Weekend calls (calls-weekend)", "europe": "Calls to Europe (europe)"}
    assert changes((before, after)) == [f"basic: {said.format(**names)}"]


RICH = """
id: rich
effective_from: 2026-01-01
currency: EUR
rounding: {mode: half_even}
zones: {free: ["+34800"], home: ["+34"]}
roaming_zones: {union: ["214", "208"]}
holidays: {spain: [2026-01-01, 2026-12-25]}
time_bands: {quiet: [{days: sat-sun}, {holidays: spain}]}
offerings:
  basic:
    usage_prices:
      - id: calls
        description: Calls
        match: {usage_type: voice, zone: home}
        steps: [{from: 0 s, price: {amount: 0.20, per: 60 s}, increments: 60}, {from: 60 s, price: {amount: 0.10, per: 60 s}}]
        maximum: 3.00
      - {id: quiet, description: Quiet, match: {usage_type: voice, zone: home, time_band: quiet}, price: {amount: 0.05, per: 60 s}}
      - {id: abroad, description: Abroad, match: {usage_type: voice, roaming_zone: union}, price: {amount: 0.30, per: 60 s}}
      - id: data
        description: Data
        match: {usage_type: data}
        graduated: [{up_to: 1 GB, price: {amount: 5, per: 1 GB}, flat: 1}, {price: {amount: 4, per: 1 GB}}]
      - {id: fax, description: Fax, match: {usage_type: fax}, package: {amount: 5, per: 100 event, free: 50 event}}
      - {id: shop, description: Shop, match: {usage_type: purchase}, percentage: {rate: 2.5, fixed: 0.10}}
    recurring_prices:
      - {id: fee, description: Fee, amount: 10, period: month, proration: by_day}
    one_time_prices:
      - {id: start, description: Start, amount: 15, charged_at: activation}
    allowances:
      - {id: minutes, description: Minutes, amount: 100 min, covers: {zones: [home]}}
    discounts:
      - {id: loyal, description: Loyal, percent: 10, scope: usage}
    spending_cap: {id: cap, description: Cap, amount: 50}
"""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "amount: 0.20",
            "amount: 0.25",
            ["Calls (calls), from 0 s on: raised from 0.20 EUR per 60 s to 0.25 EUR per 60 s (+0.05 EUR, +25 %)"],
        ),
        ("increments: 60}", "increments: 30}", ["Calls (calls), from 0 s on: in steps of 60 becomes in steps of 30"]),
        (
            "{from: 60 s, price",
            "{from: 90 s, price",
            [
                "Calls (calls): from 0 s 0.20 EUR per 60 s in steps of 60; from 60 s 0.10 EUR per 60 s becomes "
                "from 0 s 0.20 EUR per 60 s in steps of 60; from 90 s 0.10 EUR per 60 s"
            ],
        ),
        ("maximum: 3.00", "maximum: 2.50", ["Calls (calls), maximum: lowered from 3.00 EUR to 2.50 EUR (-0.5 EUR, -16.7 %)"]),
        ("amount: 4,", "amount: 3,", ["Data (data), beyond that: lowered from 4 EUR per 1 GB to 3 EUR per 1 GB (-1 EUR, -25 %)"]),
        ("flat: 1", "flat: 2", ["Data (data), up to 1 GB, flat: raised from 1 EUR to 2 EUR (+1 EUR, +100 %)"]),
        (
            "amount: 5, per: 100 event, free: 50 event",
            "amount: 6, per: 100 event, free: 20 event",
            [
                "Fax (fax): raised from 5 EUR to 6 EUR (+1 EUR, +20 %)",
                "Fax (fax), free: lowered from 50 event to 20 event (-30 event, -60 %)",
            ],
        ),
        ("rate: 2.5", "rate: 3", ["Shop (shop), rate: raised from 2.5 % to 3 % (+0.5 %, +20 %)"]),
        ("fixed: 0.10", "fixed: 0.20", ["Shop (shop), fixed: raised from 0.10 EUR to 0.20 EUR (+0.1 EUR, +100 %)"]),
        (
            '["214", "208"]',
            '["214", "222"]',
            ["Abroad (abroad) is now also for networks 222", "Abroad (abroad) is no longer for networks 208"],
        ),
        ("2026-12-25]", "2026-12-25, 2026-12-26]", ["Quiet (quiet) is now also for holidays 2026-12-26"]),
        ("amount: 10,", "amount: 12,", ["Fee (fee): raised from 10 EUR to 12 EUR (+2 EUR, +20 %)"]),
        ("proration: by_day", "proration: none", ["Fee (fee): proration by_day becomes proration none"]),
        ("amount: 15,", "amount: 0,", ["Start (start): lowered from 15 EUR to 0 EUR (-15 EUR, -100 %)"]),
        ("amount: 100 min", "amount: 2 h", ["Minutes (minutes): raised from 100 min to 2 h (+1200 s, +20 %)"]),
        ("covers: {zones: [home]}", "covers: {zones: [home, free]}", ["Minutes (minutes) is now also for numbers with +34800"]),
        ("covers: {zones: [home]}", "covers: {prices: [calls]}", ["Minutes (minutes) covers: zones home becomes prices calls"]),
        ("percent: 10", "percent: 5", ["Loyal (loyal), percent: lowered from 10 % to 5 % (-5 %, -50 %)"]),
        ("scope: usage", "scope: all", ["Loyal (loyal): scope usage becomes scope all"]),
        ("amount: 50}", "amount: 40}", ["Cap (cap): lowered from 50 EUR to 40 EUR (-10 EUR, -20 %)"]),
        ("half_even", "half_up", ["rounding: mode half_even becomes mode half_up"]),
        ("currency: EUR\n", "currency: EUR\ncrossing: split\n", ["crossing: start becomes split"]),
    ],
)
def test_every_model_fee_allowance_and_discount_is_compared(before: str, after: str, said: list[str]) -> None:
    assert RICH.count(before) == 1
    old, new = read_book_document(RICH, "old.yaml"), read_book_document(RICH.replace(before, after), "new.yaml")
    assert [change.words for change in difference(old, new)] == said
    assert {change.offering for change in difference(old, new)} == {"basic"}


def test_defaults_that_are_spelled_out_are_no_change() -> None:
    spelled = RICH.replace("maximum: 3.00", "maximum: 3\n        setup_fee: 0\n        crossing: start").replace(
        "percent: 10", "percent: 10.0"
    )
    spelled = spelled.replace("period: month,", "period: month, charged: arrears,").replace(
        "amount: 100 min", "priority: 10, amount: 6000 s"
    )
    assert difference(read_book_document(RICH, "old.yaml"), read_book_document(spelled, "new.yaml")) == []


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

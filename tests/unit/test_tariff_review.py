"""`tarifa tariff check` warns of what a sound book says that is often not meant, and `try` shows what ordinary usages cost."""

import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner, Result

from libs.cli import app
from libs.contracts import UsageReceived
from libs.exact_json import read_json, write_json
from libs.pricing import PricedUsage, RateBooks, load_rate_books, parse_rate_book
from libs.tariffs import read_book_document
from libs.tariffs.review import review
from libs.tariffs.zones import zone_warnings
from tests.command_line import refusal

ODD = Path(__file__).parents[1] / "data/rate-books-odd"
OPERATOR_M = (ODD / "operator-m.yaml").read_text()
OPERATOR_M_2 = OPERATOR_M.replace("effective_from:", 'format: 2\nhome_networks: ["21407"]\neffective_from:')
HEAD = "id: b\nformat: 2\nhome_networks: none\neffective_from: 2026-01-01\ncurrency: EUR\n"
VOICE = "id: v, description: V, match: {usage_type: voice%s}, price: {amount: %s, per: 60 s}"


def book(*prices: str, top: str = "", more: str = "", head: str = HEAD) -> str:
    listed = "".join(f"      - {{{price}}}\n" for price in prices)
    return f"{head}{top}offerings:\n  a:\n" + (f"    usage_prices:\n{listed}" if prices else "") + more


def voice(id: str, match: str = "", amount: str = "0.1", more: str = "") -> str:
    return f"id: {id}, description: V, match: {{usage_type: voice{match}}}, price: {{amount: {amount}, per: 60 s}}{more}"


def data(increments: str, usage_type: str = "data") -> str:
    return f"id: d, description: D, match: {{usage_type: {usage_type}}}, price: {{amount: 1, per: 1 GB}}, increments: {increments}"


def warnings(text: str) -> list[str]:
    return [f"{warning.line}: {warning.message}" for warning in review(read_book_document(text, "b.yaml"))]


FEE = "    recurring_prices: [{id: f, description: F, amount: 1, period: month}]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (book(voice("v"), top='zones: {world: ["+"]}\n'), "6: nothing uses zone 'world'"),
        (book(voice("v"), top='roaming_zones: {far: ["310"]}\n'), "6: nothing uses roaming zone 'far'"),
        (book(voice("v"), top="time_bands: {night: {hours: 22:00-06:00}}\n"), "6: nothing uses time band 'night'"),
        (book(voice("v"), top="holidays: {spain: [2026-01-01]}\n"), "6: nothing uses holiday calendar 'spain'"),
        (
            book(voice("v").replace("voice", "vioce")),
            "9: usage type 'vioce' looks like 'voice': usage of type 'voice' does not reach this price",
        ),
        (book(data("1 kB", "dta")), "9: usage type 'dta' looks like 'data': usage of type 'data' does not reach this price"),
        (book(voice("v", ', called: ["+", "0034"]')), "9: no called number begins with 0034: numbers are in E.164"),
        (book(voice("v", ', called: ["+", "+034"]')), "9: no number in E.164 begins with +034"),
        (book(voice("v", ', called: ["+", "+9990"]')), "9: no number in E.164 begins with +9990"),
        (
            book(voice("v", ', called: ["+", "34911234"]')),
            "9: no called number begins with 34911234: this is no short code, and numbers are in E.164",
        ),
        (book(voice("v", ", zone: z"), top='zones: {z: ["+", "+03"]}\n'), "6: no number in E.164 begins with +03"),
        (book(voice("v", ', called: "+34"')), "9: voice to all other numbers has no price: it waits in suspense"),
        (
            book(voice("v", ', called: ["+34"]'), voice("w", ', called: "+44"', "0")),
            "10: price 'w' is free, and voice otherwise costs something, as 'v' does",
        ),
        (
            book(
                voice("always"),
                voice("never", ", time_band: b", "1"),
                voice("night", ', called: "+", time_band: b'),
                voice("day", ', called: "+"'),
                top="time_bands: {b: {days: mon-sun}}\n",
            ).replace("{usage_type: voice}", '{usage_type: voice, called: "1"}'),
            "13: nothing reaches price 'day': other prices go before it at all times",
        ),
        (
            book(voice("v"), voice("home", ', visited_network: "21407"'), head=HEAD.replace("none", '["214"]')),
            "10: nothing reaches price 'home': its networks are home networks, and usage there is at home",
        ),
        (book(voice("v"), head=HEAD.replace("none", '["214"]')), "9: voice abroad has no price: it waits in suspense"),
        (
            book(data("100 MB"), more="    allowances: [{id: gb, description: G, amount: 12 GB}]\n"),
            "9: a session of 10 MB takes 100000000 byte from allowance 'gb': the increments of price 'd' are what it is drawn in",
        ),
        (
            book(voice("v"), more="    allowances: [{id: m, description: M, amount: 9 min, covers: {usage_types: [voice, vioce]}}]\n"),
            "10: allowance 'm' covers usage type 'vioce', which no price of the offering is for",
        ),
        (
            book(
                voice("v", ', called: "+3"'),
                voice("w", ', called: "1"'),
                more='    allowances: [{id: m, description: M, amount: 9 min, covers: {called: "+44"}}]\n',
            ),
            "11: nothing reaches allowance 'm': no price that it covers is for numbers of its zones",
        ),
        (
            book(more=FEE + "    discounts: [{id: x, description: X, percent: 10, scope: usage}]\n"),
            "9: nothing reaches 'x': the offering has no charges of its scope",
        ),
        (
            book(voice("v"), more="    spending_cap: {id: c, description: C, amount: 9, scope: recurring}\n"),
            "10: nothing reaches 'c': the offering has no charges of its scope",
        ),
        (
            book(voice("v"), head="id: b\neffective_from: 2026-01-01\ncurrency: EUR\n"),
            "1: the book has format 1, where a price that says nothing about roaming is for usage abroad as well: v",
        ),
    ],
)
def test_what_is_often_not_meant_is_warned_of_with_its_line(text: str, told: str) -> None:
    assert told in warnings(text)


@pytest.mark.parametrize(
    "text",
    [
        book(
            voice("v", ', called: "+"'),
            voice("sos", ', called: "112"', "0"),
            voice("freephone", ', called: "+34900"', "0"),
            voice("spain", ', called: "+34"'),
        ),
        book(
            voice("v", ", zone: z, time_band: night"),
            voice("w", ", zone: z"),
            top='zones: {z: ["+"]}\ntime_bands: {night: {hours: 22:00-06:00, except_holidays: h}}\nholidays: {h: [2026-01-01]}\n',
        ),
        book(
            data("1 kB"),
            data("1 kB", "videos").replace("id: d", "id: e"),
            more="    allowances: [{id: gb, description: G, amount: 12 GB}]\n",
        ),
        book(voice("v"), voice("abroad", ", roaming: only"), head=HEAD.replace("none", '["214"]')),
        book(voice("v", ", roaming: included"), head=HEAD.replace("none", '["214"]')),
        book(more=FEE + "    discounts: [{id: x, description: X, percent: 10, scope: recurring}]\n"),
    ],
)
def test_an_ordinary_book_has_no_warning(text: str) -> None:
    assert warnings(text) == []


def test_shipped_books_are_warned_of_for_their_format_alone() -> None:
    for path in sorted((Path(__file__).parents[2] / "deploy/rate-books").glob("*.yaml")):
        assert {warning.partition("format 1")[1] for warning in warnings(path.read_text())} <= {"format 1"}


LEAK = [
    UsageReceived.from_message(write_json({"id": f"u{number}", "identifier": "m", **usage}))
    for number, usage in enumerate(read_json((ODD / "operator-m-leak.usage.json").read_text()))
]


def prices_of(text: str) -> list[str]:
    books = RateBooks([parse_rate_book(text, "m.yaml")])
    answers = [books.price_usage("m", usage, time_zone="Europe/Madrid", currency="EUR") for usage in LEAK]
    return [answer.price_id if isinstance(answer, PricedUsage) else answer.reason.value for answer in answers]


def test_usage_in_a_network_without_a_price_goes_to_suspense_in_the_new_format_alone() -> None:
    assert prices_of(OPERATOR_M_2) == ["data", "no-price", "no-price", "no-price"]
    assert prices_of(OPERATOR_M) == ["data", "data", "national", "no-price"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["tariff", *map(str, arguments)], env={"COLUMNS": "200"})


def test_the_command_warns_beside_faults_and_fails_when_it_is_to_be_strict(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(OPERATOR_M)
    done = run("check", file)
    assert done.exit_code == 0, done.output
    assert f"warning: {file}:11: zones.world: nothing uses zone 'world'; give a price for it, or remove it\n" in done.stdout
    assert done.stdout.endswith("1 rate book with 1 offering: no fault, 7 warnings\n")
    assert refusal(run("check", "--strict", file)).problem == "7 warnings"
    told = json.loads(run("check", "--json", file).stdout)
    assert (told["faults"], len(told["warnings"])) == ([], 7)
    assert set(told["warnings"][0]) == {"file", "line", "path", "message", "remedy"}


def test_try_shows_what_ordinary_usages_cost(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(OPERATOR_M_2)
    told = {line["words"]: line for line in json.loads(run("try", file, "--json").stdout)}
    assert told["voice, 3 min at home, to a premium number (+34803123456)"]["amount"] == {"numerator": "363", "denominator": "100"}
    assert told["data, 100 MB at home"]["allowances"] == ["home"]
    assert told["data, 100 MB roaming in the USA"]["rejected"]["reason"] == "no-price"
    shown = run("try", file).stdout
    assert "waits in suspense: no-price" in shown
    assert shown.startswith("m  by rate book operator-m alone\n")


def test_every_shipped_book_can_be_tried() -> None:
    for book in load_rate_books(Path(__file__).parents[2] / "deploy/rate-books").books:
        done = run("try", book.id, "--json")
        assert done.exit_code == 0, done.output
        tried = json.loads(done.stdout)
        assert {line["offering"] for line in tried} == {id for id, offering in book.offerings.items() if offering.usage_prices}
        assert any("amount" in line for line in tried)


def test_accounts_east_of_the_zone_of_a_book_are_warned_of() -> None:
    text = "id: b\neffective_from: 2026-03-01\ntime_zone: Europe/Madrid\ncurrency: EUR\n" + book(voice("v"), head="")
    old = parse_rate_book(text, "b.yaml")
    accounts = {"Europe/Athens": 3, "Europe/Madrid": 9, "Atlantic/Canary": 2}
    (warning,) = zone_warnings(old, accounts)
    assert "3 accounts lie east of Europe/Madrid: in Europe/Athens the day begins 1 h before" in warning.message
    assert list(zone_warnings(old, {"Europe/Madrid": 9, "America/New_York": 1})) == []
    new = parse_rate_book(text.replace("id: b\n", "id: b\nformat: 2\nhome_networks: none\n"), "b.yaml")
    assert list(zone_warnings(new, accounts)) == []
    assert new.takes_effect.in_zone("Europe/Athens") == datetime(2026, 3, 1, tzinfo=ZoneInfo("Europe/Athens")).astimezone(UTC)

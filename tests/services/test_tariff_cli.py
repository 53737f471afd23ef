"""`tarifa tariff` against a running rating: what is published is in force, listed and shown, and what is refused says why."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from libs.cli import app
from libs.cli.errors import CommandError
from tests.command_line import run_tarifa_in
from tests.rating_world import RatingWorld, account, number, product

BOOK = """
id: cli-published
effective_from: 2099-01-01
currency: EUR
offerings:
  cli-offering:
    usage_prices:
      - id: calls
        description: Calls
        match: {usage_type: voice}
        price: {amount: 0.10, per: 60 s}
"""


async def tariff(*arguments: str | Path) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["tariff", *map(str, arguments)], env={"COLUMNS": "200"})


async def test_books_are_published_and_known_from_then_on(rating: RatingWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", rating.settings.kafka_bootstrap_servers)
    monkeypatch.setenv("MONGODB_URL", rating.settings.mongodb_url)
    monkeypatch.setenv("TARIFA_NAMESPACE", rating.settings.namespace)
    book = tmp_path / "book.yaml"
    book.write_text(BOOK)

    for _ in range(2):
        published = await tariff("publish", book)
        assert published.exit_code == 0, published.exception or published.output
        told, *warnings = published.stdout.splitlines()
        assert told == "cli-published: in force from 2099-01-01 00:00 UTC"
        assert all(line.startswith("warning: ") for line in warnings)

    listed = json.loads((await tariff("list", "--published", "--json")).stdout)
    (line,) = [line for line in listed if line["offering"] == "cli-offering"]
    assert line["source"].startswith("published ")
    assert "0.10 EUR per 60 s" in (await tariff("show", "cli-published", "--published")).stdout

    # What is still to come may change; what would change an offering at the same instant may not.
    book.write_text(BOOK.replace("0.10", "0.12"))
    await rating.publish(account("ada"), product("line", "ada", number("+12125550001"), offering="cli-offering"))
    await rating.settle()
    said = (await tariff("diff", "cli-published", book, "--published")).stdout.splitlines()
    assert said[0] == "For customers of cli-offering (1 product)"
    assert "raised from 0.10 EUR" in said[1]
    assert (await tariff("publish", book)).exit_code == 0
    rival = tmp_path / "rival.yaml"
    rival.write_text(BOOK.replace("cli-published", "cli-rival"))
    refused = await tariff("publish", rival, book, "--json")
    assert isinstance(refused.exception, CommandError)
    assert refused.exception.problem == "1 of 2 rate books refused: cli-rival"
    rival_answer, book_answer = json.loads(refused.stdout)
    assert (rival_answer["accepted"], book_answer["accepted"]) == (False, True)
    assert "changes offering 'cli-offering' at the same instant" in rival_answer["faults"][0]


async def test_a_faulty_book_is_not_even_sent(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BOOK.replace("EUR", "EURO"))
    outcome = await tariff("publish", tmp_path)
    assert isinstance(outcome.exception, CommandError)
    assert "is not an ISO 4217 currency code" in outcome.exception.problem


async def test_a_broker_that_is_away_is_told_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_text(BOOK)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "MONGODB_URL": "mongodb://127.0.0.1:1"}
    outcome = await run_tarifa_in(environment, "tariff", "publish", str(tmp_path), "--json")

    assert (outcome.exit_code, outcome.out) == (3, "")
    assert "Kafka does not answer" in outcome.err
    assert "Unclosed" not in outcome.err

"""`tarifa tariff`: what its commands tell people and machines, and how they refuse."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from libs.cli import app
from tests.command_line import refusal

OLD = """
id: old
effective_from: 2026-01-01
currency: EUR
offerings:
  basic:
    usage_prices:
      - id: calls
        description: Calls
        match: {usage_type: voice}
        price: {amount: 0.10, per: 60 s}
"""
NEW = OLD.replace("id: old", "id: new").replace("2026-01-01", "2027-01-01").replace("0.10", "0.12")


@pytest.fixture
def books(tmp_path: Path) -> Path:
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "new.yaml").write_text(NEW)
    return tmp_path


def tariff(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["tariff", *map(str, arguments)], env={"COLUMNS": "200"})


def test_sound_books_are_told_in_a_line(books: Path) -> None:
    told = tariff("check", books)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[-1] == "2 rate books with 2 offerings: no fault, 2 warnings"
    assert json.loads(tariff("check", books, "--json").stdout)["faults"] == []


def test_every_fault_is_told_with_file_line_and_remedy(books: Path) -> None:
    broken = books / "broken.yaml"
    broken.write_text(OLD.replace("id: old", "id: broken").replace("0.10", "1e-3").replace("EUR", "EURO"))
    outcome = tariff("check", books)
    assert refusal(outcome).problem == "2 faults in 1 rate book"
    assert refusal(outcome).exit_code == 1
    assert [line for line in outcome.stdout.splitlines() if not line.startswith("warning: ")] == [
        f"{broken}:4: currency: 'EURO' is not an ISO 4217 currency code; use a code such as EUR or USD",
        f"{broken}:11: offerings.basic.usage_prices[0].price.amount: '1e-3' is in float notation; write 0.001",
    ]
    assert json.loads(tariff("check", broken, "--json").stdout)["faults"][1] == {
        "file": str(broken),
        "line": 11,
        "path": "offerings.basic.usage_prices[0].price.amount",
        "message": "'1e-3' is in float notation",
        "remedy": "write 0.001",
    }


def test_books_are_checked_against_each_other(books: Path) -> None:
    (books / "twin.yaml").write_text(OLD)
    outcome = tariff("check", books)
    assert refusal(outcome).exit_code == 1
    assert "rate book id 'old' is already that of" in outcome.stdout
    assert "changes offering 'basic' at the same instant" in outcome.stdout
    assert tariff("check", books / "twin.yaml").exit_code == 0


def test_a_book_that_is_no_utf_8_is_a_fault_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("id: a\n# größer\n".encode("latin-1"))
    assert f"{tmp_path}/latin.yaml:2: the file is not UTF-8; save it in UTF-8" in tariff("check", tmp_path).stdout


@pytest.mark.parametrize("command", [("check",), ("list", "--books"), ("show", "basic", "--books")])
def test_a_directory_without_books_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert refusal(tariff(*command, tmp_path)).problem == f"no rate book (*.yaml) in {tmp_path}"


def test_offerings_are_listed_with_the_time_of_their_books(books: Path) -> None:
    lines = json.loads(tariff("list", "--books", books, "--json").stdout)
    assert [(line["offering"], line["rate_book"], line["effective_from"], line["effective_until"]) for line in lines] == [
        ("basic", "old", "2026-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("basic", "new", "2027-01-01T00:00:00+00:00", None),
    ]
    assert "2026-01-01T00:00  2027-01-01T00:00  old.yaml" in tariff("list", "--books", books).stdout


@pytest.mark.parametrize(("at", "price"), [("2026-12-31", "0.10 EUR per 60 s"), ("2027-01-01", "0.12 EUR per 60 s")])
def test_an_offering_is_shown_as_it_stands_at_a_time(books: Path, at: str, price: str) -> None:
    assert price in tariff("show", "basic", "--at", at, "--books", books).stdout
    (shown,) = json.loads(tariff("show", "basic", "--at", at, "--books", books, "--json").stdout)
    assert [line["price"] for line in shown["lines"]] == [price]


@pytest.mark.parametrize("name", ["old", "old.yaml"])
def test_a_book_is_shown_by_its_id_or_its_file(books: Path, name: str) -> None:
    told = tariff("show", books / name if name.endswith(".yaml") else name, "--books", books)
    assert "basic  in EUR, rate book old, from 2026-01-01 00:00 UTC" in told.stdout


def test_what_cannot_be_shown_is_refused_with_what_to_do(books: Path) -> None:
    assert (
        refusal(tariff("show", "basic", "--at", "2025-12-31", "--books", books)).problem
        == "no rate book has offering basic as of 2025-12-31"
    )
    assert refusal(tariff("show", "premium", "--books", books)).problem == "neither an offering nor a rate book is named premium"
    (books / "broken.yaml").write_text("id: 1 2")
    assert "cannot be used" in refusal(tariff("show", "basic", "--books", books)).problem


def test_what_changes_is_said_for_whom(books: Path) -> None:
    told = tariff("diff", "old", books / "new.yaml", "--books", books)
    assert told.stdout.splitlines() == [
        "For everybody",
        "  effective from: 2026-01-01 becomes 2027-01-01",
        "For customers of basic",
        "  Calls (calls): raised from 0.10 EUR per 60 s to 0.12 EUR per 60 s (+0.02 EUR, +20 %)",
    ]
    assert [change["kind"] for change in json.loads(tariff("diff", "old", "new", "--books", books, "--json").stdout)] == [
        "changed",
        "raised",
    ]
    assert tariff("diff", "old", "old", "--books", books).stdout == "old and old say the same\n"
    assert refusal(tariff("diff", "old", "newest", "--books", books)).remedy == "name a file, or one of new, old"
    assert refusal(tariff("diff", "old", "newest.yaml", "--books", books)).problem == "newest.yaml does not exist"


@pytest.mark.parametrize(
    "command", [("check",), ("publish",), ("list", "--books"), ("show", "basic", "--books"), ("diff", "old", "new", "--books")]
)
@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_what_is_no_file_under_the_name_of_a_book_is_refused(books: Path, command: tuple[str, ...], as_json: tuple[str, ...]) -> None:
    (books / "linked.yaml").symlink_to(books / "gone.yaml")
    told = refusal(tariff(*command, books, *as_json))
    assert told.problem == f"{books}/linked.yaml cannot be read: No such file or directory"
    assert told.remedy == "make it a file that may be read, or take it away"


@pytest.mark.parametrize("command", [("show",), ("diff", "old")])
@pytest.mark.parametrize(
    ("name", "problem"), [("gone.yaml", "does not exist"), ("nowhere/gone", "does not exist"), (".", "is a directory")]
)
def test_a_file_that_is_not_there_is_told_as_one(books: Path, command: tuple[str, ...], name: str, problem: str) -> None:
    told = refusal(tariff(*command, books / name, "--books", books))
    assert (told.problem, told.remedy) == (f"{books / name} {problem}", "name a file, or an id that `tarifa tariff list` shows")

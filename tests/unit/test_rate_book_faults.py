"""Faulty rate books, one fault after another, and exactly what each is told: where, what and what to do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.pricing import RateBookInvalid, RateBooks, load_rate_book, load_rate_books, parse_rate_book

TABLE = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
BASE: str = TABLE["base"]


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["case"])
def test_a_faulty_book_is_told_its_faults(case: dict[str, Any]) -> None:
    if "book" in case:
        book = case["book"]
    else:
        assert case["instead_of"] in BASE
        book = BASE.replace(case["instead_of"], case["is"], 1)
    with pytest.raises(RateBookInvalid) as error:
        parse_rate_book(book, "base.yaml")
    assert str(error.value).splitlines() == [f"base.yaml:{fault}" for fault in case["faults"]]


def test_a_book_without_faults_loads() -> None:
    assert parse_rate_book(BASE, "base.yaml").id == "base"


def test_a_book_that_is_too_large_is_not_read() -> None:
    with pytest.raises(RateBookInvalid, match=r"base.yaml:1: the file has more than 8,000,000 characters; divide it into several books"):
        parse_rate_book(BASE + "#" * 8_000_000, "base.yaml")


def test_the_faults_of_a_book_are_data() -> None:
    with pytest.raises(RateBookInvalid) as error:
        parse_rate_book(BASE.replace("EUR", "EURO"), "base.yaml")
    (fault,) = error.value.faults
    assert (fault.file, fault.line, fault.path) == ("base.yaml", 3, "currency")
    assert (fault.message, fault.remedy) == ("'EURO' is not an ISO 4217 currency code", "use a code such as EUR or USD")


def test_a_file_that_is_not_utf_8_is_told_its_line(tmp_path: Path) -> None:
    book = tmp_path / "latin.yaml"
    book.write_bytes(BASE.replace("Calls", "Gespräche").encode("latin-1"))
    with pytest.raises(RateBookInvalid, match=r"latin.yaml:13: the file is not UTF-8; save it in UTF-8"):
        load_rate_book(book)


def test_the_faults_of_all_books_of_a_directory_are_told_in_one_go(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BASE.replace("EUR", "EURO"))
    (tmp_path / "b.yaml").write_text(BASE.replace("9.99", "-1"))
    with pytest.raises(RateBookInvalid) as error:
        load_rate_books(tmp_path)
    assert [(Path(fault.file).name, fault.line) for fault in error.value.faults] == [("a.yaml", 3), ("b.yaml", 21)]


def test_a_directory_without_books_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(RateBookInvalid, match=r"no rate book \(\*\.yaml\) here; point to the directory with the rate books"):
        load_rate_books(tmp_path)


def test_two_books_with_one_id_are_a_fault() -> None:
    books = [parse_rate_book(BASE, "a.yaml"), parse_rate_book(BASE.replace("2026-01-01", "2026-02-01"), "b.yaml")]
    with pytest.raises(RateBookInvalid) as error:
        RateBooks(books)
    assert str(error.value) == "b.yaml:1: id: rate book id 'base' is already that of a.yaml; give each book an id of its own"


def test_two_books_that_change_an_offering_at_one_instant_are_a_fault() -> None:
    other = BASE.replace("id: base", "id: other\ntime_zone: Europe/Madrid").replace("2026-01-01", "2026-01-01T01:00:00+01:00")
    with pytest.raises(RateBookInvalid) as error:
        RateBooks([parse_rate_book(BASE, "a.yaml"), parse_rate_book(other, "b.yaml")])
    assert str(error.value) == (
        "b.yaml:12: offerings.basic: rate book 'base' changes offering 'basic' at the same instant, 2026-01-01T00:00:00+00:00 (a.yaml:11); "
        "let one of the two books take effect later, or remove the offering from it"
    )


def test_time_bands_without_number_are_not_compiled() -> None:
    bands = "".join(f"  band-{number}: {{days: mon}}\n" for number in range(101))
    with pytest.raises(RateBookInvalid) as error:
        parse_rate_book(BASE.replace("time_bands:\n", f"time_bands:\n{bands}"), "base.yaml")
    assert error.value.faults[0].message == "103 time bands"

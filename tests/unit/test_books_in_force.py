"""What a command takes for the rate books in force: files, and what rating accepted besides."""

from libs.cli.books_in_force import merged
from libs.pricing import parse_rate_book


def book(id, amount="1"):
    return (
        f"id: {id}\neffective_from: 2026-01-01\ncurrency: EUR\nofferings:\n  {id}:\n    recurring_prices:\n"
        f"      - {{id: fee, description: Fee, amount: {amount}, period: month}}\n"
    )


def stored(id, amount="1", *, from_file):
    return {"_id": id, "text": book(id, amount), "file": f"{id}.yaml", "from_file": from_file}


def amounts(files, documents):
    books = merged([parse_rate_book(text, "file") for text in files], documents)
    return {found.id: str(found.offerings[found.id].recurring_prices[0].amount) for found in books}


def test_published_books_join_those_of_files():
    assert amounts([book("file")], [stored("published", from_file=False)]) == {"file": "1", "published": "1"}


def test_a_file_goes_before_what_rating_took_from_an_older_one():
    assert amounts([book("file", "2")], [stored("file", "1", from_file=True)]) == {"file": "2"}


def test_a_published_text_goes_before_the_file():
    assert amounts([book("file", "1")], [stored("file", "2", from_file=False)]) == {"file": "2"}


def test_a_book_whose_file_is_gone_is_still_in_force():
    assert amounts([], [stored("file", from_file=True)]) == {"file": "1"}

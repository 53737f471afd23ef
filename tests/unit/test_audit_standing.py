"""What stands of a usage that was re-rated, beside its price by the book that it names, whatever allowances paid at first."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.audit.domain.difference import Category, Difference
from libs.audit.domain.offering_terms import OfferingTerms
from libs.audit.domain.standing import NotPriced, Standing, check_standing
from libs.contracts import UsageRerated
from libs.pricing import RateBooks, parse_rate_book
from libs.pricing.books_alone import each_alone
from services.rating.documents import rated_document
from services.rating.domain.deciding import Rated
from services.rating.rerated_documents import rerated_document
from tests.unit.test_audit_allowances import stored
from tests.unit.test_rerating_allowances import ALLOWANCES, LINE, Again, book, books_of, rated, rerated

TERMS = (OfferingTerms("plan", "UTC", "EUR"),)


def dated(*texts: str) -> RateBooks:
    """Books that take effect one after the other, all before the calls."""
    found = [text.replace("2026-01-01", f"2026-01-{number:02d}") for number, text in enumerate(texts, start=1)]
    return RateBooks([parse_rate_book(text, "book.yaml") for text in found])


def standing(usage: Rated, fact: UsageRerated, change: dict[str, Any] | None = None) -> Standing:
    """`change` is made behind the back of rating, to the first part."""
    rerating = stored(rerated_document(fact))
    rerating["new"][0].update(change or {})
    return Standing(stored(rated_document(usage)), rerating, TERMS, TERMS)


def checked(it: Standing, books: RateBooks) -> list[Difference] | NotPriced:
    return check_standing(it, books, each_alone(books))


@given(
    st.lists(st.sampled_from(ALLOWANCES), unique=True),
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=4),
    st.lists(st.tuples(st.booleans(), st.sampled_from(["0.20", "0.80"]), st.sampled_from(["0", "0.50"])), min_size=1, max_size=2),
    st.sampled_from(["split", "start"]),
)
def test_whatever_re_rating_makes_of_usage_is_right_and_a_numerator_more_is_wrong(
    allowances: list[str], seconds: list[tuple[int, bool]], others: list[tuple[bool, str, str]], crossing: str
) -> None:
    first = book("b0", *allowances, crossing=crossing)
    texts = [
        book(f"b{number}", *(allowances if has else ()), national=national, fee=fee)
        for number, (has, national, fee) in enumerate(others, start=1)
    ]
    calls, books = rated(books_of(first), seconds), dated(first, *texts)
    again, of_id = Again(calls, books), {call.usage.id: call for call in calls}
    for number in [*range(1, len(texts) + 1), 0]:
        for fact in again.rerate(f"b{number}").fresh:
            call, numerator = of_id[fact.usage_id], fact.new[0].numerator
            assert checked(standing(call, fact), books) == []
            assert checked(standing(call, fact, {"numerator": numerator + 1}), books)


FIRST, SECOND = book("first", *ALLOWANCES[:2], crossing="start"), book("second", national="0.80", crossing="start")
BOOKS = dated(FIRST, SECOND)
(CALL,) = rated(books_of(FIRST), [(300, True)])
(FACT,) = Again([CALL], BOOKS).rerate("second").fresh


@pytest.mark.parametrize(
    "change",
    [
        {"charged_quantity": Decimal(121)},
        {"numerator": 0},
        {"denominator": 1},
        {"price_id": "world"},
        # Its price is that of the second.
        {"rate_book": "first"},
    ],
)
def test_any_other_new_price_differs(change: dict[str, Any]) -> None:
    assert checked(standing(CALL, FACT), BOOKS) == []
    found = checked(standing(CALL, FACT, change), BOOKS)
    assert not isinstance(found, NotPriced)
    assert [(difference.category, difference.id) for difference in found] == [(Category.USAGE_PRICE, "u0")]


def test_what_allowances_paid_is_taken_off_by_the_book_of_the_first_rating() -> None:
    (without,) = Again(rated(books_of(book("first", crossing="start")), [(300, True)]), BOOKS).rerate("second").fresh
    found = checked(standing(CALL, without), BOOKS)
    assert not isinstance(found, NotPriced)
    assert len(found) == 1


def test_the_price_of_another_offering_of_the_product_is_right_too() -> None:
    dear = f"{FIRST}  dear:\n{book('first', national='0.80', crossing='start').partition('  plan:')[2].lstrip(chr(10))}"
    books = books_of(dear)
    (fact,) = Again([CALL], books, replace(LINE, offering_id="dear")).rerate("first", by_present_offering=True).fresh
    terms = tuple(OfferingTerms(offering_id, "UTC", "EUR") for offering_id in ("plan", "dear"))
    assert checked(replace(standing(CALL, fact), terms=terms), books) == []
    assert checked(standing(CALL, fact), books)


def test_a_usage_that_several_books_price_is_priced_by_those_of_its_time() -> None:
    changing = (book("early"), book("late", world="2").replace("2026-01-01", "2026-03-03"))
    books = RateBooks([parse_rate_book(text, "book.yaml") for text in (book("mistaken", world="9").replace("2026", "2025"), *changing)])
    before = books_of(book("mistaken", world="9"))
    (call,) = rated(before, [(120, False)])
    (fact,) = rerated([call], before, books).fresh
    assert {part.rate_book for part in fact.new} == {"early", "late"}
    assert checked(standing(call, fact), books) == []
    assert checked(standing(call, fact, {"numerator": 0}), books)
    assert checked(standing(call, fact, {"rate_book": "mistaken"}), books) is NotPriced.OTHER_BOOK


def test_what_nobody_can_tell_any_more_is_no_difference() -> None:
    only_first, only_second = dated(FIRST), dated(SECOND)
    assert checked(standing(CALL, FACT), only_first) is NotPriced.OTHER_BOOK
    assert checked(standing(CALL, FACT), only_second) is NotPriced.UNKNOWN_ALLOWANCE
    assert checked(replace(standing(CALL, FACT), terms=()), BOOKS) is NotPriced.UNKNOWN_CHARGE

"""Rating takes a rate book or refuses it: sound, alone of its id, at peace with the others, and as it was once it is in force."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.contracts import TariffAccepted, TariffPublished, TariffRefused
from services.rating.domain.tariffs import Candidate, Tariff, decide

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def book(id: str = "book", effective_from: str = "2027-01-01", amount: str = "9.99", offering: str = "basic") -> str:
    return (
        f"id: {id}\neffective_from: {effective_from}\ncurrency: EUR\nofferings:\n  {offering}:\n    recurring_prices:\n"
        f"      - {{id: fee, description: Fee, amount: {amount}, period: month}}\n"
    )


def published(text: str, id: str = "book", at: datetime = NOW) -> Candidate:
    return Candidate.of(TariffPublished.of(id, text, at))


def accepted(*texts: str) -> dict[str, Tariff]:
    """The tariffs after these texts, each published an hour after the other."""
    tariffs: dict[str, Tariff] = {}
    for number, text in enumerate(texts):
        id = text.split()[1]
        decision = decide(published(text, id, NOW + timedelta(hours=number)), tariffs, NOW)
        assert decision.tariff is not None, decision.answer
        tariffs[id] = decision.tariff
    return tariffs


def faults(answer: object) -> str:
    assert isinstance(answer, TariffRefused)
    return "\n".join(answer.faults)


def test_a_sound_book_is_accepted_with_the_day_it_takes_effect():
    answer = decide(published(book()), {}, NOW).answer

    assert isinstance(answer, TariffAccepted)
    assert (answer.id, answer.book_id, answer.effective_from) == (published(book()).id, "book", datetime(2027, 1, 1, tzinfo=UTC))


def test_every_fault_of_a_book_is_told_with_its_line():
    answer = decide(published(book(effective_from="2027-02-30", amount="1e-3")), {}, NOW).answer

    assert faults(answer).splitlines() == [
        "book.yaml:2: effective_from: '2027-02-30' is not a day or time of the calendar; check month, day and hour",
        "book.yaml:7: offerings.basic.recurring_prices[0].amount: '1e-3' is in float notation; write 0.001",
    ]


def test_a_book_is_published_under_its_own_id():
    assert "calls itself 'other'" in faults(decide(published(book("other")), {}, NOW).answer)


def test_the_same_text_again_is_the_same_answer_and_changes_nothing():
    tariffs = accepted(book())
    again = decide(published(book(), at=LATER), tariffs, LATER)

    assert (again.answer, again.tariff) == (tariffs["book"].answer, None)


def test_a_book_that_is_not_in_force_yet_may_be_replaced():
    tariffs = accepted(book(), book(amount="8.99"))

    assert tariffs["book"].candidate.text == book(amount="8.99")


def test_a_book_in_force_cannot_be_replaced():
    tariffs = accepted(book(effective_from="2026-01-01"))
    answer = decide(published(book(effective_from="2026-01-01", amount="8.99"), at=LATER), tariffs, LATER).answer

    assert faults(answer) == (
        "book.yaml:1: id: rate book 'book' has been in force since 2026-01-01T00:00:00+00:00 and stays as it is; "
        "give the changed book an id of its own and a later effective_from"
    )


@pytest.mark.parametrize("change", ["# a comment\n", "time_zone: UTC\n"])
def test_of_a_book_in_force_only_what_it_says_counts(change):
    text = book(effective_from="2026-01-01")
    decision = decide(published(text + change, at=LATER), accepted(text), LATER)

    assert isinstance(decision.answer, TariffAccepted) is change.startswith("#")
    assert decision.tariff is None


def test_a_replaced_text_that_comes_again_is_answered_and_does_not_come_back():
    tariffs = accepted(book(), book(amount="8.99"))
    again = decide(published(book()), tariffs, LATER)

    assert (again.answer, again.tariff) == (tariffs["book"].earlier[0], None)


def test_a_replaced_text_that_is_published_anew_comes_back():
    decision = decide(published(book(), at=NOW + timedelta(days=1)), accepted(book(), book(amount="8.99")), LATER)

    assert decision.tariff is not None
    assert decision.tariff.candidate.text == book()


def test_an_older_text_does_not_replace_a_newer_one():
    tariffs = accepted(book())
    answer = decide(published(book(amount="8.99"), at=NOW - timedelta(hours=1)), tariffs, LATER).answer

    assert "was published later" in faults(answer)


def test_two_books_that_change_an_offering_at_the_same_instant_are_one_too_many():
    answer = decide(published(book("other"), "other"), accepted(book()), NOW).answer

    assert "rate book 'book' changes offering 'basic' at the same instant" in faults(answer)


def test_a_new_text_is_judged_beside_the_other_books_only():
    tariffs = accepted(book(), book("other", offering="other"))
    decision = decide(published(book(amount="8.99"), at=LATER), tariffs, LATER)

    assert isinstance(decision.answer, TariffAccepted)


def test_another_text_under_the_id_of_a_publication_is_no_repetition():
    tariffs = accepted(book(effective_from="2026-01-01"))
    forged = replace(published(book(effective_from="2026-01-01", amount="0")), id=tariffs["book"].answer.id)

    assert "has been in force since" in faults(decide(forged, tariffs, LATER).answer)


def test_one_offering_may_have_a_book_in_each_currency():
    in_dollars = book("dollars").replace("EUR", "USD")

    assert isinstance(decide(published(in_dollars, "dollars"), accepted(book()), NOW).answer, TariffAccepted)

"""CGRateS tariff plans become rate books: the worked cases are met after import, and what has no counterpart is told."""

import json
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from libs.cli import app
from libs.pricing import PricedUsage, RateBooks, parse_rate_book
from libs.tariffs.cgrates import FILES, ImportTerms, Remark, RemarkKind, import_tariff_plan, read_tariff_plan
from tests.command_line import refusal
from tests.examples import examples
from tests.usages import usage_of

DATA = Path(__file__).parents[1] / "data"
FOLDER = DATA / "cgrates-tutorial-like"
CASES = {case["id"]: case for case in yaml.load((DATA / "pricing_cases.yaml").read_text(), yaml.BaseLoader)}

FOLDER_TEXTS = {path.name: path.read_text() for path in FOLDER.glob("*.csv")}
# One price for everybody, to be varied.
PLAIN = {
    "Destinations.csv": "GERMANY,+49",
    "Rates.csv": "RT,0,0.1,60s,60s,0s",
    "DestinationRates.csv": "DR,GERMANY,RT,*up,4,0,",
    "RatingPlans.csv": "RP,DR,*any,10",
    "RatingProfiles.csv": "tenant,call,*any,2020-01-01T00:00:00Z,RP,",
}


def imported(texts: dict[str, str], **options: bool) -> tuple[RateBooks, list[str]]:
    books, remarks = import_tariff_plan(read_tariff_plan(texts, **options), ImportTerms("EUR"))
    told = [str(remark) for remark in remarks if remark.kind is not RemarkKind.ASSUMED]
    return RateBooks(parse_rate_book(book.text, f"{book.id}.yaml") for book in books), told


def amount(
    books: RateBooks, subject: str, called: str, starts: str, seconds: str, usage_type: str = "voice", unit: str = "s"
) -> Fraction | str:
    """The price of a usage; the reason where it has none."""
    usage = usage_of(
        id="usage",
        identifier="+34600000000",
        usage_type=usage_type,
        started_at=starts,
        quantity=Decimal(seconds),
        unit=unit,
        called_number=called,
    )
    answer = books.price_usage(subject, usage, time_zone="UTC", currency="EUR")
    if not isinstance(answer, PricedUsage):
        return answer.reason.value
    return answer.amount


@pytest.fixture(scope="module")
def tutorial() -> RateBooks:
    return imported(FOLDER_TEXTS)[0]


@pytest.mark.parametrize(
    ("case", "subject", "called", "starts", "seconds"),
    [
        ("RAT-04", "1001", "1002", "2014-08-04T13:00:00Z", "130"),
        ("RAT-05", "1001", "1002", "2014-08-04T13:00:00Z", "20"),
        ("RAT-07", "1001", "1044", "2014-08-04T13:00:00Z", "20"),
        ("RAT-09", "1001", "1044", "2016-01-06T19:00:00Z", "90"),
        ("RAT-11", "1001", "1044", "2014-12-07T08:42:26Z", "120"),
        ("RAT-23", "1001", "1007", "2014-08-04T13:00:00Z", "70"),
    ],
)
def test_the_worked_cases_are_met_after_import(
    tutorial: RateBooks, case: str, subject: str, called: str, starts: str, seconds: str
) -> None:
    assert amount(tutorial, subject, called, starts, seconds) == Fraction(CASES[case]["expect"])


@pytest.mark.parametrize(
    ("subject", "called", "starts", "seconds", "expected"),
    [
        # The subject's own profile began in 2014; before that everybody's holds, which has no prices for friends.
        ("1001", "1002", "2013-08-05T13:00:00Z", "20", Fraction("1.0")),
        # A fallback subject prices what the own plan does not.
        ("1001", "+491511234567", "2014-08-04T13:00:00Z", "60", Fraction("1.2")),
        ("any", "+491511234567", "2014-08-04T13:00:00Z", "60", "no-price"),
        # From 08:00 on it is peak, from 19:00 on no longer; 120 s from 18:59 are a minute of each.
        ("any", "1044", "2014-08-04T07:59:00Z", "60", Fraction("0.3")),
        ("any", "1044", "2014-08-04T08:00:00Z", "60", Fraction("1.2")),
        ("any", "1044", "2014-08-04T18:59:00Z", "120", Fraction("1.25")),
        # Christmas goes before any day of the week, and is cheap all day; 2014-12-25 is a Thursday.
        ("1001", "1002", "2014-12-25T13:00:00Z", "20", Fraction("0.30")),
        ("1001", "1002", "2014-12-26T13:00:00Z", "20", Fraction("0.60")),
        # Everybody's plan ends the call at 0.62.
        ("any", "1007", "2014-08-04T13:00:00Z", "62", Fraction("0.62")),
        ("any", "2001", "2014-08-04T13:00:00Z", "62", "no-price"),
    ],
)
def test_subjects_fallbacks_and_timings_come_over(
    tutorial: RateBooks, subject: str, called: str, starts: str, seconds: str, expected: Fraction | str
) -> None:
    assert amount(tutorial, subject, called, starts, seconds) == expected


EVENING = {
    **PLAIN,
    "Timings.csv": "DAY,*any,*any,*any,1;2;3;4;5,00:00:00\nEVENING,*any,*any,*any,1;2;3;4;5,18:00:00",
    "Rates.csv": "RD,1,1,1s,1s,0s\nRE,0,0.5,1s,1s,0s",
    "DestinationRates.csv": "DD,GERMANY,RD,*up,4,0,\nDE,GERMANY,RE,*up,4,0,",
    "RatingPlans.csv": "RP,DD,DAY,10\nRP,DE,EVENING,10",
    "RatingProfiles.csv": "tenant,call,*any,2012-01-01T00:00:00Z,RP,",
}


def rated(rate: str, rounding: str) -> dict[str, str]:
    return {**PLAIN, "Rates.csv": rate, "DestinationRates.csv": f"DR,GERMANY,RT,{rounding},0,"}


@pytest.mark.parametrize(
    ("case", "texts", "starts", "seconds"),
    [
        ("RAT-01", rated("RT,0,1,1s,1s,0s", "*up,4"), "2023-08-07T17:30:00Z", "90"),
        ("RAT-13", rated("RT,0,0.1,60s,1s,0s", "*middle,4"), "2023-08-07T17:30:00Z", "180"),
        ("RAT-15", rated("RT,0,0.033,1s,1s,0s", "*down,1"), "2023-08-07T17:30:00Z", "10"),
        ("RAT-16", EVENING, "2012-02-02T17:30:00Z", "3600"),
        ("RAT-19", EVENING, "2012-02-08T22:50:00Z", "3621"),
    ],
)
def test_rounding_and_split_calls_are_met_after_import(case: str, texts: dict[str, str], starts: str, seconds: str) -> None:
    books, told = imported(texts)
    # The week ends on Friday there.
    assert {remark for remark in told if "cannot be priced sat-sun all day" not in remark} == set()
    assert amount(books, "any", "+4986517174963", starts, seconds) == Fraction(CASES[case]["expect"])


def test_a_message_costs_what_it_costs_in_every_offering(tutorial: RateBooks) -> None:
    for subject in ("any", "1001", "travellers"):
        assert amount(tutorial, subject, "+491511234567", "2014-08-04T13:00:00Z", "1", "sms", "message") == Fraction(
            CASES["RAT-03"]["expect"]
        )


def test_whatever_has_no_counterpart_is_told() -> None:
    assert imported(FOLDER_TEXTS)[1] == [
        "Actions.csv: left out: balances, actions, routes and the like have no counterpart in a rate book",
        "DestinationRates.csv:8: differs: a call is not ended at 0.62: what goes beyond it is free",
        "Rates.csv:10: left out: rate RT_NOBODY prices nothing: no profile uses it, or others go before it",
        "Timings.csv:6: differs: timing CHRISTMAS: its dates are listed for the years 2010 to 2040",
    ]


def test_a_plain_plan_needs_no_remark() -> None:
    books, told = imported(PLAIN)
    assert told == []
    assert amount(books, "any", "+4930123", "2026-01-01T00:00:00Z", "61") == Fraction("0.2")


@pytest.mark.parametrize("file", sorted(FILES.keys() - {"Timings.csv"}))
def test_a_leading_tariff_plan_id_is_passed_over(file: str) -> None:
    books, told = imported({**PLAIN, file: f"TP1,{PLAIN[file]}"})
    assert told == []
    assert amount(books, "any", "+4930123", "2026-01-01T00:00:00Z", "60") == Fraction("0.1")


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("#TPid,Tenant,Category,Subject,ActivationTime,RatingPlanId,RatesFallbackSubject", "TP1,tenant,call,*any,2020-01-01T00:00:00Z,RP,"),
        ("#TPid,LoadId,Tenant,Category,Subject,ActivationTime,RatingPlanId,RatesFallbackSubject", "T,L,tenant,call,*any,,RP,"),
        ("#Direction,Tenant,Category,Subject,ActivationTime,RatingPlanId,Fallback,CdrStatQueueIds", "*out,tenant,call,*any,,RP,,"),
        ("Tenant[0],TOR[1],Direction[2],Subject[3],ActivationTime[4],RatingPlanTag[5]", "tenant,call,*out,*any,2020-01-01T00:00:00Z,RP"),
        ("# a comment\n#another, with commas, in it", "*out,tenant,call,*any,2020-01-01T00:00:00Z,RP,,"),
    ],
)
def test_columns_are_known_by_their_names(header: str, line: str) -> None:
    books, told = imported({**PLAIN, "RatingProfiles.csv": f"{header}\n\n{line}\n"})
    assert told == []
    assert amount(books, "any", "+4930123", "2026-01-01T00:00:00Z", "60") == Fraction("0.1")


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("Destinations.csv", "GERMANY,+49\nODD,0049 30", "Destinations.csv:2: left out: '0049 30' is not the beginning of a called number"),
        ("Destinations.csv", "GERMANY,+49\nODD", "Destinations.csv:2: left out: the line lacks Prefix"),
        (
            "Rates.csv",
            "RT,0,0.1,60s,60s,0s\nODD,0,-1,60s,60s,0s",
            "Rates.csv:2: left out: a fee, a rate or a length of time is negative, no number, or has too many digits",
        ),
        (
            "Rates.csv",
            "RT,0,0.1,60s,60s,0s\nRT,0.3,0.1,60s,1s,60s",
            "Rates.csv:2: left out: connect fee 0.3: only that of the first interval is ever asked",
        ),
        (
            "DestinationRates.csv",
            "DR,GERMANY,RT,*up,4,0,\nDR,FRANCE,RT,*up,4,0,",
            "DestinationRates.csv:2: left out: destination FRANCE is not there, or has no prefix",
        ),
        (
            "DestinationRates.csv",
            "DR,GERMANY,RT,*up,4,0,\nDR,*any,OTHER,*up,4,0,",
            "DestinationRates.csv:2: left out: rate OTHER is not there",
        ),
        (
            "Rates.csv",
            "RT,0,0.1,60s,60s,0s\nRT,0,0.2,60s,60s,0s",
            "Rates.csv:2: left out: another interval of RT starts there too, and is taken",
        ),
        (
            "DestinationRates.csv",
            "DR,GERMANY,RT,*up,12,0,",
            "DestinationRates.csv:1: differs: amounts stay exact, instead of being rounded to 12 decimals",
        ),
        (
            "DestinationRates.csv",
            "DR,GERMANY,RT,*sideways,4,0,",
            "DestinationRates.csv:1: left out: rounding *sideways to 4 decimals is not known",
        ),
        ("DestinationRates.csv", "DR,GERMANY,RT,*up,4,much,", "DestinationRates.csv:1: left out: MaxCost much is no number"),
        ("RatingPlans.csv", "RP,DR,*any,10\nRP,OTHER,*any,10", "RatingPlans.csv:2: left out: destination rates OTHER are not there"),
        (
            "RatingPlans.csv",
            "RP,DR,*any,10\nRP,DR,SOMETIMES,10",
            "RatingPlans.csv:2: left out: timing SOMETIMES is not there, or was left out",
        ),
        ("RatingPlans.csv", "RP,DR,*any,10\nRP,DR,*any,1_0", "RatingPlans.csv:2: left out: weight 1_0 is no number"),
        ("RatingPlans.csv", "RP,DR,*any,10\nRP,DR,*any,١٠", "RatingPlans.csv:2: left out: weight ١٠ is no number"),
        ("RatingPlans.csv", "RP,DR,*any,10\nRP,DR,*any,much", "RatingPlans.csv:2: left out: weight much is no number"),
        (
            "RatingPlans.csv",
            "RP,DR,*any,10\nSPARE,DR,*any,10",
            "RatingPlans.csv:2: left out: rating plan SPARE prices nothing: no profile uses it, or others go before it",
        ),
        (
            "RatingPlans.csv",
            "RP,DR,*any,10\nRP,DR,*any,10",
            "DestinationRates.csv:1: left out: DR for +49 has the time and weight of DR, which is taken",
        ),
        (
            "RatingProfiles.csv",
            f"{PLAIN['RatingProfiles.csv']}\ntenant,call,bob,tomorrow,RP,",
            "RatingProfiles.csv:2: left out: activation time tomorrow is no instant",
        ),
        (
            "RatingProfiles.csv",
            f"{PLAIN['RatingProfiles.csv']}\ntenant,call,bob,,RP,alice",
            "RatingProfiles.csv:2: left out: fallback subject alice has no plan then",
        ),
        (
            "RatingProfiles.csv",
            f"{PLAIN['RatingProfiles.csv']}\ntenant,call,bob,,OTHER,",
            "RatingProfiles.csv:2: left out: rating plan OTHER is not there",
        ),
        (
            "Timings.csv",
            "NEVER,*any,2,30,*any,00:00:00",
            "Timings.csv:1: left out: timing NEVER: Years *any, Months 2, MonthDays 30 are no days of the calendar, or too many to list",
        ),
        ("Timings.csv", "ODD,*any,*any,*any,8,00:00:00", "Timings.csv:1: left out: timing ODD: week days 8 at 00:00:00 cannot be read"),
    ],
)
def test_nothing_is_dropped_silently(file: str, text: str, told: str) -> None:
    books, found = imported({**PLAIN, file: text})
    assert told in found
    assert amount(books, "any", "+4930123", "2026-01-01T00:00:00Z", "60") == Fraction("0.1")


def test_a_missing_file_is_told() -> None:
    books, remarks = import_tariff_plan(read_tariff_plan({}), ImportTerms("EUR"))
    assert books == []
    assert Remark("Rates.csv", 0, RemarkKind.LEFT_OUT, "the file is not there, or has no lines") in remarks


def test_the_heavier_of_two_timings_wins_and_of_equals_the_later() -> None:
    timings = "NIGHT,*any,*any,*any,*any,22:00:00\nSUNDAY,*any,*any,*any,7,00:00:00\nNOON,*any,*any,*any,*any,12:00:00;12:59:59"
    rates = "\n".join(f"R{cents},0,0.0{cents},60s,60s,0s" for cents in range(1, 5))
    texts = {
        **PLAIN,
        "Timings.csv": timings,
        "Rates.csv": rates,
        "DestinationRates.csv": "\n".join(f"DR{cents},GERMANY,R{cents},*up,4,0," for cents in range(1, 5)),
        "RatingPlans.csv": "RP,DR1,*any,10\nRP,DR2,NIGHT,10\nRP,DR3,SUNDAY,20\nRP,DR4,NOON,10",
    }
    books, told = imported(texts)
    assert told == []
    # 1 January 2026 is a Thursday, the 4th a Sunday.
    for starts, cents in (
        ("2026-01-01T21:59:00Z", 1),
        ("2026-01-01T22:00:00Z", 2),
        ("2026-01-01T12:00:00Z", 4),
        ("2026-01-01T13:00:00Z", 1),
        ("2026-01-04T22:30:00Z", 3),
        ("2026-01-04T12:30:00Z", 3),
    ):
        assert amount(books, "any", "+4930123", starts, "60") == Fraction(cents, 100), starts


def test_timings_of_certain_dates_become_holidays() -> None:
    texts = {
        **PLAIN,
        "Timings.csv": "FAIR,2026,3,2;3,*any,10:00:00;19:59:59\nSUNDAY,*any,*any,*any,7,00:00:00\nEASTER,2026,4,5,*any,00:00:00",
        "Rates.csv": "R1,0,0.01,60s,60s,0s\nR2,0,0.02,60s,60s,0s\nR3,0,0.03,60s,60s,0s",
        "DestinationRates.csv": "D1,GERMANY,R1,*up,4,0,\nD2,GERMANY,R2,*up,4,0,\nD3,GERMANY,R3,*up,4,0,",
        "RatingPlans.csv": "RP,D1,*any,10\nRP,D2,FAIR,20\nRP,D3,SUNDAY,15\nRP,D3,EASTER,30",
    }
    books, told = imported(texts)
    assert told == [
        "RatingPlans.csv:4: left out: timing EASTER has other dates than those beside it",
        "Timings.csv:3: left out: timing EASTER prices nothing: no profile uses it, or others go before it",
    ]
    # 2 and 3 March 2026 are a Monday and a Tuesday.
    for starts, cents in (
        ("2026-03-02T09:59:00Z", 1),
        ("2026-03-02T10:00:00Z", 2),
        ("2026-03-03T19:59:00Z", 2),
        ("2026-03-03T20:00:00Z", 1),
        ("2026-03-04T12:00:00Z", 1),
        ("2026-03-08T12:00:00Z", 3),
    ):
        assert amount(books, "any", "+4930123", starts, "60") == Fraction(cents, 100), starts


def test_a_prefix_that_is_not_priced_all_week_is_told_where_a_shorter_one_is() -> None:
    texts = {
        **PLAIN,
        "Timings.csv": "DAY,*any,*any,*any,1;2;3;4;5,00:00:00",
        "Destinations.csv": "GERMANY,+49\nBERLIN,+4930",
        "DestinationRates.csv": "DR,GERMANY,RT,*up,4,0,\nDB,BERLIN,RT,*up,4,0,",
        "RatingPlans.csv": "RP,DR,*any,10\nRP,DB,DAY,10",
    }
    assert imported(texts)[1] == [
        "RatingPlans.csv: differs: prefix +4930 is not priced all week: at other times the book asks +49, CGRateS nothing"
    ]


def test_of_two_destinations_with_one_prefix_the_heavier_prices_it() -> None:
    texts = {
        **PLAIN,
        "Destinations.csv": "GERMANY,+49\nEUROPE,+49\nEUROPE,+33",
        "Rates.csv": "RT,0,0.1,60s,60s,0s\nRE,0,0.2,60s,60s,0s",
        "DestinationRates.csv": "DR,GERMANY,RT,*up,4,0,\nDE,EUROPE,RE,*up,4,0,",
        "RatingPlans.csv": "RP,DR,*any,20\nRP,DE,*any,10",
    }
    books, told = imported(texts)
    assert told == [
        "DestinationRates.csv:2: left out: DE: prefix +49 is priced by DR at all of its times",
        "Destinations.csv:2: left out: destination EUROPE prices nothing: no profile uses it, or others go before it",
    ]
    assert amount(books, "any", "+4930123", "2026-01-01T00:00:00Z", "60") == Fraction("0.1")
    assert amount(books, "any", "+3312345", "2026-01-01T00:00:00Z", "60") == Fraction("0.2")


def test_what_the_own_plan_has_goes_before_a_longer_prefix_of_a_fallback() -> None:
    texts = {
        **PLAIN,
        "Destinations.csv": "GERMANY,+49\nBERLIN,+4930\nFRANCE,+33",
        "Rates.csv": "RT,0,0.1,60s,60s,0s\nRB,0,0.2,60s,60s,0s",
        "DestinationRates.csv": "DR,GERMANY,RT,*up,4,0,\nDB,BERLIN,RB,*up,4,0,\nDB,FRANCE,RB,*up,4,0,",
        "RatingPlans.csv": "RP,DR,*any,10\nRB,DB,*any,10",
        "RatingProfiles.csv": "tenant,call,ada,,RP,bob\ntenant,call,bob,,RB,ada",
    }
    books, _ = imported(texts)
    assert amount(books, "ada", "+4930123", "2026-01-01T00:00:00Z", "60") == Fraction("0.1")
    assert amount(books, "ada", "+33123456", "2026-01-01T00:00:00Z", "60") == Fraction("0.2")
    assert amount(books, "bob", "+4930123", "2026-01-01T00:00:00Z", "60") == Fraction("0.2")
    assert amount(books, "bob", "+4940123", "2026-01-01T00:00:00Z", "60") == Fraction("0.1")


def test_each_change_of_a_profile_is_a_book_of_its_own() -> None:
    texts = {
        **PLAIN,
        "Rates.csv": "RT,0,0.1,60s,60s,0s\nR2,0,0.2,60s,60s,0s",
        "DestinationRates.csv": "DR,GERMANY,RT,*up,4,0,\nD2,GERMANY,R2,*up,4,0,",
        "RatingPlans.csv": "RP,DR,*any,10\nRP2,D2,*any,10",
        "RatingProfiles.csv": "tenant,call,ada,2020-01-01,RP,\ntenant,call,ada,2021-06-01T00:00:00Z,RP2,\nother.tenant,call,ada,,RP,",
    }
    books, _ = import_tariff_plan(read_tariff_plan(texts), ImportTerms("EUR"))
    assert [(book.id, list(book.subjects)) for book in books] == [
        ("other.tenant-1970-01-01", ["other.tenant.ada"]),
        ("tenant-2020-01-01", ["tenant.ada"]),
        ("tenant-2021-06-01", ["tenant.ada"]),
    ]
    priced, told = imported(texts)
    assert told == []
    assert amount(priced, "tenant.ada", "+4930123", "2021-05-31T12:00:00Z", "60") == Fraction("0.1")
    assert amount(priced, "tenant.ada", "+4930123", "2021-06-01T00:00:00Z", "60") == Fraction("0.2")


def test_prefixes_without_a_plus_can_be_given_one() -> None:
    books, _ = imported({**PLAIN, "Destinations.csv": "GERMANY,49"}, add_plus=True)
    assert amount(books, "any", "+4930123", "2026-01-01T00:00:00Z", "60") == Fraction("0.1")


def test_names_that_are_none_become_some() -> None:
    texts = {**PLAIN, "RatingProfiles.csv": "tenant,call,ann o'neil,,RP,\ntenant,call,ann-o-neil,,RP,"}
    (book,), _ = import_tariff_plan(read_tariff_plan(texts), ImportTerms("EUR"))
    assert book.subjects == {"ann-o-neil": "ann o'neil", "ann-o-neil-2": "ann-o-neil"}
    assert "# Offering ann-o-neil is subject ann o'neil.\n" in book.text


def lines(*columns: str) -> st.SearchStrategy[str]:
    """Up to six lines; each column has its values, divided by blanks, `-` for an empty one."""
    cells = [st.sampled_from(["" if value == "-" else value for value in column.split()]) for column in columns]
    return st.lists(st.tuples(*cells).map(",".join), max_size=6).map("\n".join)


PLANS = st.fixed_dictionaries(
    {
        "Timings.csv": lines(
            "T1 T2 T:3", "*any 2026", "*any 1;2", "*any 30;31 0", "*any 1;2;3 6;7 0 9 -", "00:00:00 08:30:00 22:15:10 12:00:00;12:59:59 *x"
        ),
        "Destinations.csv": lines("D1 D2 D:3", "+49 +4930 49 * + 0049 112 x1"),
        "Rates.csv": lines(
            "R1 R2", "0 0.4 - 1e-3 1E+40 NaN", "0.1 0 5 0.123456789012345", "60s 1s 1m 1 0 1h x", "60s 1s 1 0 1us", "0s 60s 30s 0"
        ),
        "DestinationRates.csv": lines(
            "X1 X2", "D1 D2 D:3 *any D4", "R1 R2 R3", "*up *middle - *odd", "4 - 20 x", "0 - 0.62 x", "- *free *disconnect"
        ),
        "RatingPlans.csv": lines("P1 P2", "X1 X2 X3", "T1 T2 T:3 *any - T9", "10 20 x -"),
        "RatingProfiles.csv": lines(
            "t1 t:2",
            "call sms data odd/category",
            "*any 1001 b/b b:b",
            "- 2014-01-14T00:00:00Z *now soon",
            "P1 P2 P3",
            "- *any 1001;b/b nobody",
        ),
    }
)


@given(PLANS, st.booleans())
def test_whatever_a_plan_says_sound_books_come_out(texts: dict[str, str], add_plus: bool) -> None:
    books, remarks = import_tariff_plan(read_tariff_plan(texts, add_plus=add_plus), ImportTerms("EUR"))
    RateBooks(parse_rate_book(book.text, f"{book.id}.yaml") for book in books)
    assert remarks


def named(remarks: Iterable[Remark]) -> set[tuple[str, int]]:
    """The rows that remarks name; a remark on a file as a whole that is none of a tariff plan names all of it."""
    return {(remark.file, line) for remark in remarks for line in (remark.line, *remark.further)}


@given(PLANS, st.booleans())
@examples(300)
def test_each_row_changes_a_book_or_is_named_in_a_remark(texts: dict[str, str], add_plus: bool) -> None:
    def books_of(files: dict[str, str]) -> tuple[list[str], set[tuple[str, int]]]:
        books, remarks = import_tariff_plan(read_tariff_plan(files, add_plus=add_plus), ImportTerms("EUR"))
        return [book.text for book in books], named(remarks)

    books, told = books_of(texts)
    for file, text in texts.items():
        rows = text.splitlines()
        for line, row in enumerate(rows, 1):
            if row.strip(",") and (file, line) not in told:
                # A row that is there twice says the same once.
                without = "\n".join("" if other == row else other for other in rows)
                assert books_of({**texts, file: without})[0] != books, (file, row)


# Two profiles of one subject that begin at one instant.
AT_ONCE = {
    "Destinations.csv": "FIX,+341\nMOB,+346",
    "Rates.csv": "R1,0,0.06,60s,1s,0s\nR2,0,0.18,60s,1s,0s",
    "DestinationRates.csv": "DR1,FIX,R1,*up,4,0,\nDR2,MOB,R2,*up,4,0,",
    "RatingPlans.csv": "RP1,DR1,*any,10\nRP2,DR2,*any,10",
    "RatingProfiles.csv": "cgrates.org,call,*any,2026-01-01T00:00:00Z,RP1,\ncgrates.org,call,*any,2026-01-01T00:00:00Z,RP2,",
}


def test_of_two_profiles_of_one_instant_the_one_left_out_is_told() -> None:
    books, told = imported(AT_ONCE)
    assert "RatingProfiles.csv:1: left out: plan RP1 begins at the same instant as RP2 on line 2, which is taken" in told
    assert amount(books, "any", "+346001", "2026-03-01T00:00:00Z", "60") == Fraction("0.18")


@pytest.mark.parametrize(
    ("plan", "absent", "line", "called", "price"), [("RP1", "RP2", 2, "+341001", "0.06"), ("RP2", "RP1", 1, "+346001", "0.18")]
)
def test_of_two_profiles_of_one_instant_the_one_whose_plan_is_there_is_taken(
    plan: str, absent: str, line: int, called: str, price: str
) -> None:
    (kept,) = [row for row in AT_ONCE["RatingPlans.csv"].splitlines() if row.startswith(plan)]
    books, told = imported({**AT_ONCE, "RatingPlans.csv": kept})
    assert [remark for remark in told if absent in remark] == [f"RatingProfiles.csv:{line}: left out: rating plan {absent} is not there"]
    assert amount(books, "any", called, "2026-03-01T00:00:00Z", "60") == Fraction(price)


def test_of_two_profiles_of_one_instant_each_whose_plan_is_not_there_is_told() -> None:
    _, told = imported({**AT_ONCE, "RatingPlans.csv": ""})
    reasons = [remark for remark in told if remark.startswith("RatingProfiles.csv:")]
    assert {f"RatingProfiles.csv:{line}: left out: rating plan RP{line} is not there" for line in (1, 2)} <= set(reasons)


def test_no_book_comes_out_where_nothing_can_be_priced() -> None:
    books, remarks = import_tariff_plan(read_tariff_plan({**AT_ONCE, "RatingPlans.csv": ""}), ImportTerms("EUR"))
    assert books == []
    assert {("RatingProfiles.csv", 1), ("RatingProfiles.csv", 2)} <= named(remarks)


# One prefix under two destination tags, one of them for the afternoon.
TWO_TAGS = {
    "Destinations.csv": "D_ES,+39\nD_ES_COPY,+39",
    "Timings.csv": "LATE,*any,*any,*any,*any,13:00:00",
    "Rates.csv": "R_LOW,0.3,0.06,60s,60s,0s\nR_HIGH,0.5,0.12,60s,60s,0s",
    "DestinationRates.csv": "DR_LOW,D_ES,R_LOW,*up,4,0,\nDR_HIGH,D_ES_COPY,R_HIGH,*up,4,0,",
    "RatingPlans.csv": "RP,DR_LOW,*any,10\nRP,DR_HIGH,LATE,20",
    "RatingProfiles.csv": "cgrates.org,call,*any,2014-01-14T00:00:00Z,RP,",
}


@pytest.mark.parametrize(
    ("starts", "seconds", "cost"),
    [("2026-03-02T10:00:00Z", "60", "0.36"), ("2026-03-02T14:00:00Z", "60", "0.62"), ("2026-03-02T12:59:00Z", "120", "0.48")],
)
def test_timings_of_one_prefix_become_bands_by_weight_whatever_tag_has_it(starts: str, seconds: str, cost: str) -> None:
    books, told = imported(TWO_TAGS)
    assert told == []
    assert amount(books, "any", "+39021", starts, seconds) == Fraction(cost)


def test_hours_without_a_price_are_told() -> None:
    _, told = imported({**TWO_TAGS, "RatingPlans.csv": "RP,DR_HIGH,LATE,20"})
    assert "RatingPlans.csv: differs: prefix +39 cannot be priced every day 00:00-13:00: usage of these hours waits in suspense" in told


def test_a_prefix_of_one_day_a_year_keeps_its_price_of_all_other_days() -> None:
    """As in CGRateS' second tutorial: DST_20 has prefix 20 on New Year, DST_2030 has it always."""
    books, told = imported(
        {
            "Destinations.csv": "DST_20,20\nDST_2030,20\nDST_2030,30",
            "Timings.csv": "NEW_YEAR,*any,1,1,*any,00:00:00",
            "Rates.csv": "RT_FREE,0,0,60s,1s,0s\nRT_LOCAL,0.4,0.2,60s,1s,0s",
            "DestinationRates.csv": "DR_20,DST_20,RT_FREE,*up,4,0,\nDR_2030,DST_2030,RT_LOCAL,*up,4,0,",
            "RatingPlans.csv": "RP,DR_2030,*any,10\nRP,DR_20,NEW_YEAR,20",
            "RatingProfiles.csv": "cgrates.org,call,*any,2014-01-14T00:00:00Z,RP,",
        }
    )
    assert told == ["Timings.csv:1: differs: timing NEW_YEAR: its dates are listed for the years 2010 to 2040"]
    assert amount(books, "any", "2001", "2014-08-04T13:00:00Z", "300") == Fraction("1.4")
    assert amount(books, "any", "2001", "2015-01-01T13:00:00Z", "300") == 0
    assert amount(books, "any", "3001", "2015-01-01T13:00:00Z", "300") == Fraction("1.4")


def test_names_are_unique_over_all_tenants_categories_and_plans() -> None:
    profiles = [f"{tenant},{category},a,2026-01-01T00:00:00Z,RP," for tenant in ("t a", "t-a") for category in ("call", "voice")]
    plan = read_tariff_plan({**PLAIN, "RatingProfiles.csv": "\n".join(profiles)})
    books, _ = import_tariff_plan(plan, ImportTerms("EUR", prefix="wholesale-"))
    assert [book.id for book in books] == ["wholesale-t-a-2026-01-01", "wholesale-t-a-2026-01-01-2"]
    assert [list(book.subjects) for book in books] == [["wholesale-t-a.a"], ["wholesale-t-a.a-2"]]
    loaded = RateBooks(parse_rate_book(book.text, f"{book.id}.yaml") for book in books)
    for usage_type in ("voice", "voice-2"):
        assert amount(loaded, "wholesale-t-a.a", "+4930", "2026-03-01T00:00:00Z", "60", usage_type) == Fraction("0.1")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["tariff", "import-cgrates", *map(str, arguments)], env={"COLUMNS": "200"})


def test_the_command_writes_a_book_for_each_date_and_tells_the_rest(tmp_path: Path) -> None:
    done = run(FOLDER, "--output", tmp_path / "plan.yaml")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan-2012-01-01.yaml", "plan-2014-01-14.yaml"]
    assert "Rates.csv:10: left out: rate RT_NOBODY prices nothing" in done.stderr
    checked = CliRunner().invoke(app, ["tariff", "check", str(tmp_path)])
    assert checked.exit_code == 0
    assert "2 rate books with 4 offerings: no fault" in checked.stdout


def test_the_command_tells_machines_everything() -> None:
    told = json.loads(run(FOLDER, "--json", "--currency", "USD").stdout)
    assert [book["id"] for book in told["books"]] == ["tarifa.example-2012-01-01", "tarifa.example-2014-01-14"]
    assert {remark["kind"] for remark in told["remarks"]} == {"left out", "differs", "assumed"}
    assert "currency: USD" in told["books"][0]["text"]


def test_the_command_refuses_with_what_to_do(tmp_path: Path) -> None:
    assert refusal(run(tmp_path)).problem == f"no CSV file in {tmp_path}"
    assert refusal(run(FOLDER)).remedy == "say where to write them with --output"
    assert refusal(run(FOLDER, "--currency", "EURO")).problem == "'EURO' is not an ISO 4217 currency code"
    strict = refusal(run(FOLDER, "--strict", "--output", tmp_path / "plan.yaml"))
    assert (strict.problem, strict.exit_code) == ("4 things did not come over as they stand", 1)
    (tmp_path / "Rates.csv").write_text(PLAIN["Rates.csv"])
    assert refusal(run(tmp_path)).problem == f"nothing in {tmp_path} can be priced"


def test_what_cannot_be_read_or_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = refusal(run(FOLDER, "--output", tmp_path / "file" / "plan.yaml"))
    assert (told.problem, told.remedy) == (f"{tmp_path}/file cannot be written: File exists", "name another place with --output")
    (tmp_path / "Rates.csv").mkdir()
    told = refusal(run(tmp_path))
    assert (told.problem, told.remedy) == (
        f"{tmp_path}/Rates.csv cannot be read: Is a directory",
        "make it a file that may be read, or take it away",
    )


def test_no_file_is_overwritten_unasked(tmp_path: Path) -> None:
    file = tmp_path / "plan-2014-01-14.yaml"
    file.write_text("mine")
    told = refusal(run(FOLDER, "--output", tmp_path / "plan.yaml"))
    assert (told.problem, told.remedy) == (f"{file} would be overwritten", "name another place with --output, or say --force")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert file.read_text() == "mine"
    assert run(FOLDER, "--output", tmp_path / "plan.yaml", "--force").exit_code == 0
    assert file.read_text() != "mine"


def test_books_go_into_a_directory_under_their_ids(tmp_path: Path) -> None:
    assert run(FOLDER, "--output", tmp_path).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"tarifa.example-{day}.yaml" for day in ("2012-01-01", "2014-01-14")]


def test_machines_are_told_why_nothing_can_be_priced(tmp_path: Path) -> None:
    (tmp_path / "Rates.csv").write_text(PLAIN["Rates.csv"])
    outcome = run(tmp_path, "--json")
    told = json.loads(outcome.stdout)
    assert (refusal(outcome).exit_code, told["books"]) == (1, [])
    assert "Destinations.csv" in {remark["file"] for remark in told["remarks"]}

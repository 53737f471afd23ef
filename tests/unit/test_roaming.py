"""Usage at home and abroad in books that name their home networks, and in those of the first format, whose meaning stays."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import UsageReceived
from libs.pricing import PricedUsage, RateBookInvalid, RateBooks, RejectedUsage, parse_rate_book
from libs.pricing.allowance_payment import pay
from libs.pricing.allowance_sources import Holder, find_sources
from libs.pricing.explanation import explain
from libs.pricing.roaming import Roaming
from tests.usages import usage_of

HOME = ("21407", "2140")
MATCHES = ("", *(f", roaming: {roaming}" for roaming in Roaming), *(f', visited_network: "{code}"' for code in ("2", "208", "21407", "31")))
NETWORKS = (None, "", "21407", "214079", "21403", "20801", "310410", "x")


def book(*prices: str, format: str = 'format: 2\nhome_networks: ["21407", "2140"]\n', more: str = "") -> RateBooks:
    text = f"id: book\n{format}effective_from: 2026-01-01\ncurrency: EUR\nofferings:\n  basic:\n    usage_prices:\n"
    text += "".join(
        f"      - {{id: p{number}, description: P, match: {{usage_type: data{match}}}, price: {{amount: {number + 1}, per: 1 event}}}}\n"
        for number, match in enumerate(prices)
    )
    return RateBooks([parse_rate_book(text + more, "book.yaml")])


def sessions(count: int, characteristics: dict[str, str]) -> UsageReceived:
    return usage_of(
        id="u",
        identifier="+34600000000",
        usage_type="data",
        quantity=Decimal(count),
        unit="event",
        started_at="2026-03-02T09:00:00Z",
        characteristics=characteristics,
    )


def price(books: RateBooks, network: str | None, quantity: int = 1) -> str:
    given = {} if network is None else {"visited_network": network}
    usage = sessions(quantity, given)
    answer = books.price_usage("basic", usage, time_zone="UTC", currency="EUR")
    explained = explain(books, "basic", usage, time_zone="UTC", currency="EUR")
    assert (explained[-1].topic == "refusal") == isinstance(answer, RejectedUsage)
    return answer.price_id if isinstance(answer, PricedUsage) else answer.reason.value


def plain_model(matches: list[str], network: str | None) -> str:
    """The price of a usage, said as the reference says it: the home table, or the longest code, then what is for any network abroad."""
    roams = bool(network) and not any(network.startswith(code) for code in HOME)
    if not roams:
        fitting = [n for n, match in enumerate(matches) if match in ("", ", roaming: excluded", ", roaming: included")]
    else:
        assert network is not None
        codes = {n: match.split('"')[1] for n, match in enumerate(matches) if "visited" in match}
        by_code = sorted((n for n, code in codes.items() if network.startswith(code)), key=lambda n: -len(codes[n]))
        fitting = by_code or [n for n, match in enumerate(matches) if match in (", roaming: only", ", roaming: included")]
    return f"p{fitting[0]}" if fitting else "no-price"


def claimed(match: str) -> tuple[str, ...]:
    """Where a price claims usage: a network, at home, abroad, or both."""
    if "visited" in match:
        return (match,)
    return (Roaming(match.split()[-1]) if match else Roaming.EXCLUDED).places


@given(
    st.lists(
        st.sampled_from(MATCHES),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    st.sampled_from(NETWORKS),
)
def test_usage_is_priced_at_home_or_abroad_as_the_plain_model_says(matches: list[str], network: str | None) -> None:
    claims = [place for match in matches for place in claimed(match)]
    if len(claims) > len(set(claims)):
        with pytest.raises(RateBookInvalid, match="just as price"):
            book(*matches)
    else:
        assert price(book(*matches), network) == plain_model(matches, network)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_price_of_the_first_format_is_for_every_network(network: str | None) -> None:
    assert price(book("", format=""), network) == "p0"


def test_what_waits_in_suspense_is_told_with_its_network() -> None:
    usage = sessions(1, {"visited_network": "310410"})
    answer = book("").price_usage("basic", usage, time_zone="UTC", currency="EUR")
    assert isinstance(answer, RejectedUsage)
    assert "while roaming in network 310410" in answer.detail


ALLOWANCE = "    allowances:\n      - {{id: a, description: A, amount: 10 event{}}}\n"


@pytest.mark.parametrize(
    ("covers", "at_home", "abroad"),
    [
        ("", 0, 3),
        (", covers: {usage_types: data}", 0, 3),
        (", covers: {usage_types: data, roaming: included}", 0, 0),
        (", covers: {usage_types: data, roaming: only}", 3, 0),
        (", covers: {prices: p0}", 0, 0),
        (", covers: {prices: p0, roaming: excluded}", 0, 3),
    ],
)
@pytest.mark.parametrize("network", [None, "310410"])
def test_an_allowance_covers_usage_at_home_unless_it_says_otherwise(covers: str, at_home: int, abroad: int, network: str | None) -> None:
    books = book(", roaming: included", more=ALLOWANCE.format(covers))
    characteristics = {} if network is None else {"visited_network": network}
    usage = sessions(3, characteristics)
    answer = books.price_usage("basic", usage, time_zone="UTC", currency="EUR")
    offering = books.offering("basic", usage.started_at, "EUR", "UTC")
    assert isinstance(answer, PricedUsage)
    assert offering is not None
    holder = Holder(usage.started_at, "UTC", lambda id, at: offering.allowances[0], lambda allowance, period: "bucket")
    left = pay(answer, [find_sources(offering.allowances, answer.price, holder, usage.started_at)], {}, None).priced
    assert left.amount == Fraction(at_home if network is None else abroad)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("id: b\nformat: 2\n", "'home_networks' is missing; list the codes of your own networks"),
        ("id: b\nhome_networks: none\n", "`home_networks` belongs to a book of the second format"),
        ("id: b\nformat: 3\nhome_networks: none\n", "unknown format '3'; write 2"),
        ("id: b\nformat: 2\nhome_networks: [vodafone]\n", "'vodafone' is not the beginning of a network code"),
    ],
)
def test_a_book_names_its_home_networks(text: str, fault: str) -> None:
    rest = "effective_from: 2026-01-01\ncurrency: EUR\nofferings:\n"
    rest += "  a: {recurring_prices: [{id: f, description: F, amount: 1, period: month}]}\n"
    with pytest.raises(RateBookInvalid, match=r"home_networks|format") as error:
        parse_rate_book(text + rest, "b.yaml")
    assert fault in str(error.value)


def test_roaming_is_said_once() -> None:
    with pytest.raises(RateBookInvalid, match="both `visited_network` and `roaming` are given"):
        book(', visited_network: "208", roaming: only')
    with pytest.raises(RateBookInvalid, match="`roaming` needs a book that names its home networks"):
        book(", roaming: only", format="")

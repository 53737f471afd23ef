"""Query strings as clients write them, and what is understood."""

import pytest

from services.tmf_gateway.domain.query import PAGE_SIZE_MAX, Filter, SortKey, parse_query, selected_fields
from services.tmf_gateway.domain.refusal import BadRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("state=new", [Filter("state", "eq", ("new",))]),
        ("state.eq=new", [Filter("state", "eq", ("new",))]),
        ("state%3D%3Dnew", [Filter("state", "eq", ("new",))]),
        ("state==new", [Filter("state", "eq", ("new",))]),
        ("state.ne=new", [Filter("state", "ne", ("new",))]),
        ("a.gt=5", [Filter("a", "gt", ("5",))]),
        ("a%3E5", [Filter("a", "gt", ("5",))]),
        ("a>5", [Filter("a", "gt", ("5",))]),
        ("a%3E%3D5", [Filter("a", "gte", ("5",))]),
        ("a>=5", [Filter("a", "gte", ("5",))]),
        ("a%3C5", [Filter("a", "lt", ("5",))]),
        ("a%3C%3D5", [Filter("a", "lte", ("5",))]),
        ("a.regex=^x{1,3}$", [Filter("a", "regex", ("^x{1,3}$",))]),
        ("a%3D~x", [Filter("a", "regex", ("x",))]),
        ("a*=x", [Filter("a", "regex", ("x",))]),
        ("billingAccount.id=7", [Filter("billingAccount.id", "eq", ("7",))]),
        ("amountDue.value.gte=7", [Filter("amountDue.value", "gte", ("7",))]),
        ("@type=CustomerBill", [Filter("@type", "eq", ("CustomerBill",))]),
        ("a=", [Filter("a", "eq", ("",))]),
        ("a=x=y", [Filter("a", "eq", ("x=y",))]),
        ('lastUpdate="2020-01-01T00:00:00Z"', [Filter("lastUpdate", "eq", ("2020-01-01T00:00:00Z",))]),
    ],
)
def test_a_comparison_is_read_in_every_spelling(text, expected):
    query = parse_query(text)

    assert list(query.filters) == expected
    assert not query.any_suffices


@pytest.mark.parametrize("text", ["a=v,w", "a=v&a=w", "a=v;a=w", "a=v;w", "a=v%2Cw", "a=v%3Ba=w", 'a="v",w'])
def test_alternatives_of_one_attribute_are_one_filter(text):
    query = parse_query(text)

    assert query.filters == (Filter("a", "eq", ("v", "w")),)
    assert not query.any_suffices


def test_one_attribute_with_two_operators_is_a_range():
    query = parse_query("a.gte=1&a.lt=5")

    assert query.filters == (Filter("a", "gte", ("1",)), Filter("a", "lt", ("5",)))
    assert not query.any_suffices


def test_alternatives_over_attributes():
    query = parse_query("a=v;b=w&limit=3")

    assert query.filters == (Filter("a", "eq", ("v",)), Filter("b", "eq", ("w",)))
    assert query.any_suffices


def test_quotes_keep_separators_in_a_value():
    assert parse_query('a="Doe, Jane; widow",Smith').filters == (Filter("a", "eq", ("Doe, Jane; widow", "Smith")),)


@pytest.mark.parametrize(
    "text",
    [
        "a=v;b=w&c=x",
        "a=v;a.gt=w&c=x",
        "a",
        "=v",
        "$where=1",
        "a%00=v",
        "a=%00",
        "a.gt>5",
        "offset=-1",
        "offset=x",
        "offset=1.5",
        "offset=",
        "offset=٣",
        "limit=-1",
        "limit=1&limit=2",
        "limit=99999999999999999999",
        "sort=",
        "sort=-",
        "&".join(f"a{n}=v" for n in range(51)),
        "a=" + ",".join("v" * 201),
    ],
)
def test_what_cannot_be_understood_is_refused(text):
    with pytest.raises(BadRequest):
        parse_query(text)


@pytest.mark.parametrize(
    "text", ["sort=-billDate,+billNo", "sort=-billDate,%2BbillNo", "sort=-billDate,billNo", "sort=-billDate&sort=billNo"]
)
def test_sort_keys_may_carry_a_sign(text):
    assert parse_query(text).sort == (SortKey("billDate", True), SortKey("billNo", False))


def test_fields_are_one_selection_however_they_come():
    assert parse_query("fields=a,b&fields=c").fields == {"a", "b", "c"}
    assert parse_query("").fields is None
    assert parse_query("fields=").fields == parse_query("fields=none").fields == frozenset()
    assert selected_fields("fields=a&whatever=1") == {"a"}


def test_only_a_client_that_pages_gets_a_page():
    assert not parse_query("a=1").paged
    assert parse_query("limit=2").paged
    assert parse_query("offset=0").paged
    assert parse_query("").limit == parse_query(f"limit={PAGE_SIZE_MAX}").limit == PAGE_SIZE_MAX


def test_a_limit_beyond_the_maximum_that_the_api_declares_is_refused():
    with pytest.raises(BadRequest, match=f"limit is at most {PAGE_SIZE_MAX}"):
        parse_query(f"limit={PAGE_SIZE_MAX + 1}")

"""Selections, pages, patches, bodies and numbers: the small rules that every TMF resource obeys."""

from decimal import Decimal

import pytest

from libs.exact_decimal import KEPT
from libs.exact_json import InvalidJson, read_json, write_json
from services.tmf_gateway.domain.body import JSON, MERGE_PATCH, check_media_type, parse_object
from services.tmf_gateway.domain.merge_patch import merge
from services.tmf_gateway.domain.paging import Page
from services.tmf_gateway.domain.query import parse_query
from services.tmf_gateway.domain.refusal import BadRequest, PageOutOfRange, UnsupportedMedia
from services.tmf_gateway.domain.selection import select_fields

BILL = {"id": "1", "href": "h", "state": "new", "relatedParty": [{"id": "p", "name": "Ada", "role": "customer"}]}
URL = "https://x/bills"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (None, BILL),
        (frozenset(), {"id": "1", "href": "h"}),
        (frozenset({"state"}), {"id": "1", "href": "h", "state": "new"}),
        (frozenset({"unheardOf"}), {"id": "1", "href": "h"}),
        (frozenset({"relatedParty.role"}), {"id": "1", "href": "h", "relatedParty": [{"id": "p", "role": "customer"}]}),
        (frozenset({"relatedParty", "relatedParty.role"}), {"id": "1", "href": "h", "relatedParty": BILL["relatedParty"]}),
    ],
)
def test_a_selection_always_keeps_id_and_href(fields, expected):
    assert select_fields(BILL, fields) == expected


@pytest.mark.parametrize(
    ("query", "result_count", "total_count", "status", "content_range"),
    [
        ("", 1000, 5000, 200, None),
        ("limit=10", 10, 25, 206, "items 1-10/25"),
        ("limit=10&offset=20", 5, 25, 206, "items 21-25/25"),
        ("limit=10", 3, 3, 200, None),
        ("offset=0", 0, 0, 200, None),
        ("limit=0", 0, 25, 206, "items */25"),
    ],
)
def test_only_an_incomplete_page_that_was_asked_for_is_partial(query, result_count, total_count, status, content_range):
    page = Page(parse_query(query), result_count, total_count)
    headers = page.headers(URL, query)

    assert page.status == status
    assert headers.get("Content-Range") == content_range
    assert (headers["X-Total-Count"], headers["X-Result-Count"]) == (str(total_count), str(result_count))


def test_links_keep_the_rest_of_the_query():
    query = "state=new%2ConHold&offset=10&limit=10"
    links = dict(
        reversed(link.split("; rel=")) for link in Page(parse_query(query), 10, 35).headers(URL, query)["Link"].replace('"', "").split(", ")
    )

    assert links == {
        rel: f"<{URL}?state=new%2ConHold&offset={offset}&limit=10>"
        for rel, offset in {"self": 10, "first": 0, "prev": 0, "next": 20, "last": 30}.items()
    }


def test_the_last_page_has_no_next():
    assert 'rel="next"' not in Page(parse_query("limit=10&offset=30"), 5, 35).headers(URL, "")["Link"]


def test_an_offset_beyond_the_matches_is_out_of_range():
    with pytest.raises(PageOutOfRange) as refused:
        Page(parse_query("offset=25"), 0, 25).headers(URL, "")
    assert refused.value.headers["Content-Range"] == "items */25"


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": "text"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
        ({"a": 1}, {}, {"a": 1}),
    ],
)
def test_merge_patch_follows_rfc_7386(target, patch, expected):
    assert merge(target, patch) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff{}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\u0000"}',
        b'{"a\\u0000": 1}',
        b'{"a": "\\ud800"}',
        b'{"$where": 1}',
        b'{"a.b": 1}',
        b'{"a": 99999999999999999999}',
        b'{"a": 1e999999999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 0.' + b"1" * 40 + b"}",
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_object_or_cannot_be_kept_is_refused(body):
    with pytest.raises(BadRequest):
        parse_object(body)


@pytest.mark.parametrize("content_type", [JSON, "application/json;charset=utf-8", 'application/json; charset="UTF-8"', MERGE_PATCH])
def test_json_in_utf_8_is_read(content_type):
    check_media_type(content_type, JSON, MERGE_PATCH)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/json; charset=utf-16", "application/json-patch+json"])
def test_other_media_types_are_not_read(content_type):
    with pytest.raises(UnsupportedMedia):
        check_media_type(content_type, JSON, MERGE_PATCH)


@pytest.mark.parametrize("digits", ["12.30", "0.10", "1234567890123456789012345678.901234", "-0.01", "100"])
def test_an_amount_leaves_digit_by_digit(digits):
    assert write_json({"value": Decimal(digits)}) == b'{"value":' + digits.encode() + b"}"
    assert str(read_json(digits, KEPT)) == digits


def test_a_large_exponent_is_written_out():
    assert write_json(Decimal("1E+3")) == b"1000"


def test_what_json_does_not_know_is_not_written():
    with pytest.raises(TypeError):
        write_json(Decimal("NaN"))
    with pytest.raises(InvalidJson):
        read_json("NaN")

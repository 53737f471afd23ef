"""Lists and single resources: what the gateway reads of other services' documents, filtered, sorted, paged, selected."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from libs.contracts import BillState, ChargeState
from services.tmf_gateway.domain.links import TMF678
from tests.gateway_client import GatewayDoor, a_bill, a_charge, exact, open_gateway

BILLS = f"{TMF678}/customerBill"
RATES = f"{TMF678}/appliedCustomerBillingRate"


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """Five bills of two accounts and four rates."""
    async with open_gateway(infrastructure) as opened:
        await opened.seed_bills(
            a_bill(1, amount="10.00"),
            a_bill(2, amount="20.00", state=BillState.ON_HOLD),
            a_bill(3, amount="30.00"),
            a_bill(4, account_id="acc-2", amount="40.00"),
            a_bill(5, account_id="acc-2", amount="50.07", state=BillState.SENT, related_party_id=None, related_party_name=None),
        )
        await opened.seed_charges(
            a_charge(1),
            a_charge(2, state=ChargeState.CLOSED),
            a_charge(3, state=ChargeState.BILLED),
            a_charge(4, account_id="acc-2", state=ChargeState.BILLED, bill_id="bill-2"),
        )
        yield opened


async def numbers(door, query, path=BILLS):
    """The bill numbers, without their zeros, that a query finds."""
    answer = await door.http.get(f"{path}?{query}")
    assert answer.status_code in (200, 206), answer.text
    return [int(bill["billNo"][-1]) for bill in answer.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("state=new", [4, 3, 1]),
        ("state=onHold,sent", [5, 2]),
        ("state=onHold&state=sent", [5, 2]),
        ("state=onHold;state=sent", [5, 2]),
        ("state.ne=new", [5, 2]),
        ("state=onHold;billNo=INV-000004", [4, 2]),
        ("billingAccount.id=acc-2", [5, 4]),
        ("billingAccount.id=acc-2&state=new", [4]),
        ("amountDue.value=60.58", [5]),
        ("taxExcludedAmount.value.gte=20&taxExcludedAmount.value.lt=50", [4, 3, 2]),
        ("taxExcludedAmount.value%3E%3D40", [5, 4]),
        ("taxExcludedAmount.value>=40", [5, 4]),
        ("taxExcludedAmount.value=10", [1]),
        ("billDate.lt=2026-04-01T00:03:00Z", [2, 1]),
        ("billDate.lt=2026-04-01T02:03:00+02:00", [2, 1]),
        ("billDate=2026-04-01T00:03:00.000Z", [3]),
        ('billDate="2026-04-01T00:03:00Z"', [3]),
        ("billNo.regex=00(1|2)$", [2, 1]),
        ("billNo*=3$", [3]),
        ("relatedParty.id=p1", [4, 3, 2, 1]),
        ("relatedParty.id.ne=p1", [5]),
        ("taxItem.taxRate=21.0", [5, 4, 3, 2, 1]),
        ("billDocument.id=acc-1.2.pdf", [2]),
        ("@type=CustomerBill&state=sent", [5]),
        ("@type=Other", []),
        ("id=404ID", []),
        ("sort=billNo", [1, 2, 3, 4, 5]),
        ("sort=-taxExcludedAmount.value", [5, 4, 3, 2, 1]),
        ("sort=state,-billNo", [4, 3, 1, 2, 5]),
        ("sort=+state,billNo", [1, 3, 4, 2, 5]),
        ("limit=2&offset=1", [4, 3]),
        ("state=new&limit=1&offset=2", [1]),
    ],
)
async def test_a_list_holds_what_was_asked_for_in_order(door, query, expected):
    assert await numbers(door, query) == expected


async def test_without_paging_a_list_is_complete_and_200(door):
    answer = await door.http.get(BILLS)

    assert answer.status_code == 200
    assert (answer.headers["X-Total-Count"], answer.headers["X-Result-Count"]) == ("5", "5")
    assert "Link" not in answer.headers
    assert answer.headers["content-type"] == "application/json;charset=utf-8"


async def test_a_page_says_where_it_lies(door):
    answer = await door.http.get(f"{BILLS}?state=new&limit=1&offset=1")

    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == "items 2-2/3"
    assert (answer.headers["X-Total-Count"], answer.headers["X-Result-Count"]) == ("3", "1")
    assert f'<http://127.0.0.1:8096{BILLS}?state=new&offset=2&limit=1>; rel="next"' in answer.headers["Link"]


async def test_the_links_lead_through_all_pages_without_repeating(door):
    url, seen = f"{BILLS}?limit=2", []
    while url:
        answer = await door.http.get(url)
        seen += [bill["billNo"] for bill in answer.json()]
        url = next((link[1 : link.index(">")] for link in answer.headers["Link"].split(", ") if 'rel="next"' in link), None)

    assert seen == [f"INV-{number:06d}" for number in (5, 4, 3, 2, 1)]


async def test_the_whole_as_a_page_is_200(door):
    assert (await door.http.get(f"{BILLS}?limit=5")).status_code == 200


@pytest.mark.parametrize("query", ["offset=5", "offset=6", "offset=999999999999999999", "id=404ID&offset=1"])
async def test_an_offset_beyond_the_matches_is_416(door, query):
    answer = await door.http.get(f"{BILLS}?{query}")

    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"items */{0 if '404ID' in query else 5}"


async def test_nothing_found_is_an_empty_200(door):
    answer = await door.http.get(f"{BILLS}?id=404ID&offset=0")

    assert (answer.status_code, answer.json()) == (200, [])
    assert (answer.headers["X-Total-Count"], answer.headers["X-Result-Count"]) == ("0", "0")


@pytest.mark.parametrize(
    "query",
    [
        "noSuchAttribute=1",
        "bill_no=INV-000001",
        "$where=sleep(1000)",
        "billDate=soon",
        "amountDue.value=many",
        "offset=-1",
        "limit=-1",
        "limit=x",
        "sort=noSuchAttribute",
        "state=new;billNo=1&limit=1&id=x",
        "billNo.regex=(",
        "billNo.regex=(?<=a%2B)b",
        "billNo.regex=x{70000}",
        "billNo=%00",
    ],
)
async def test_a_query_that_makes_no_sense_is_400(door, query):
    assert (await door.http.get(f"{BILLS}?{query}")).status_code == 400


@pytest.mark.parametrize("value", ['{"$ne":null}', "[$ne]", "$gt", "' || '1'=='1", "%7B%22%24gt%22%3A%22%22%7D"])
async def test_a_value_is_never_an_operator(door, value):
    assert await numbers(door, f"billNo={value}") == []


async def test_fields_select_and_id_and_href_stay(door):
    (bill,) = (await door.http.get(f"{BILLS}?fields=state,relatedParty.role&billNo=INV-000001")).json()

    assert set(bill) == {"id", "href", "state", "relatedParty"}
    assert bill["relatedParty"] == [{"id": "p1", "role": "customer"}]
    for nothing in ("fields=none", "fields=", "fields=unheardOf"):
        assert all(set(bill) == {"id", "href"} for bill in (await door.http.get(f"{BILLS}?{nothing}")).json())


async def test_one_bill_is_found_under_its_href(door):
    (listed,) = (await door.http.get(f"{BILLS}?billNo=INV-000005")).json()
    answer = await door.http.get(listed["href"])

    assert answer.json() == listed
    assert exact(answer)["amountDue"]["value"] == Decimal("60.58")
    assert b'"value":50.07' in answer.content
    assert set((await door.http.get(f"{listed['href']}?fields=billNo")).json()) == {"id", "href", "billNo"}
    assert [bill["id"] for bill in (await door.http.get(BILLS, params={"href": listed["href"]})).json()] == [listed["id"]]


@pytest.mark.parametrize("id", ["404ID", "%00", "a%2Fb", "'", "%F0%9F%92%B6", "x" * 3000])
@pytest.mark.parametrize("path", [BILLS, RATES, f"{TMF678}/customerBillOnDemand"])
async def test_an_unknown_id_is_404(door, path, id):
    assert (await door.http.get(f"{path}/{id}")).status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [4, 3, 2, 1]),
        ("isBilled=true", [4, 3]),
        ("isBilled=False", [2, 1]),
        ("isBilled.ne=true", [2, 1]),
        ("bill.id=bill-2", [4]),
        ("billingAccount.id=acc-1", [3, 2, 1]),
        ("type=usageCharge", [4, 3, 2, 1]),
        ("type=recurringCharge", []),
        ("product.id=product-1&isBilled=true&billingAccount.id=acc-2", [4]),
        ("periodCoverage.startDateTime.gte=2026-03-01", [4, 3, 2, 1]),
        ("sort=isBilled,id", [1, 2, 3, 4]),
        ("sort=-isBilled,-date", [4, 3, 2, 1]),
    ],
)
async def test_rates_are_found_by_what_tmf_calls_them(door, query, expected):
    answer = await door.http.get(f"{RATES}?{query}")

    assert [int(rate["id"][-1]) for rate in answer.json()] == expected


async def test_a_rate_is_found_under_its_href_whatever_its_id_holds(door):
    for rate in (await door.http.get(RATES)).json():
        assert "|" in rate["id"]
        assert (await door.http.get(rate["href"])).json() == rate
        assert [found["id"] for found in (await door.http.get(RATES, params={"id": rate["id"]})).json()] == [rate["id"]]


@pytest.mark.parametrize("query", ["fields=isBilled", "fields=href", "fields=id"])
async def test_rates_can_be_selected_too(door, query):
    answer = await door.http.get(f"{RATES}?{query}")

    assert all(set(rate) == {"id", "href", query.removeprefix("fields=")} for rate in answer.json())

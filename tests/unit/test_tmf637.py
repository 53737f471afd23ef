"""Products: which identifier they hold, and when."""

from datetime import UTC, datetime

import pytest

from libs.contracts import ProductStatus
from libs.exact_json import read_json, write_json
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.subscription import new_subscription
from services.tmf_gateway.domain.tmf637 import account_of, new_product, patched_product, product, product_fact
from tests.gateway_client import assert_conforms

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 5, 1, tzinfo=UTC)
LINKS = Links("https://api.example.com")
ACCOUNT = {"_id": "a1", "resource": {"state": "active"}}
BODY = {
    "name": "Mobile",
    "status": "active",
    "startDate": "2026-01-01T00:00:00Z",
    "billingAccount": {"id": "a1"},
    "productOffering": {"id": "plan"},
}


def msisdn(value="+34600000000", **validity):
    return {"name": "msisdn", "value": value, **({"validFor": validity} if validity else {})}


def new(*characteristics, **attributes):
    return new_product({**BODY, "productCharacteristic": list(characteristics), **attributes}, "pr1", ACCOUNT, NOW)


def held(stored):
    return [
        (one.kind, one.value, one.valid_from.isoformat()[:10], one.valid_to and one.valid_to.isoformat()[:10])
        for one in product_fact(stored).identifiers
    ]


def test_a_product_holds_its_number_from_its_start():
    stored = new(msisdn())

    assert held(stored) == [("msisdn", "+34600000000", "2026-01-01", None)]
    assert_conforms(read_json(write_json(product(stored, LINKS))), "TMF637", "Product")
    assert product_fact(stored).offering_id == "plan"


def test_a_number_is_kept_in_e_164():
    assert held(new(msisdn("+34 600-000 000")))[0][1] == "+34600000000"


@pytest.mark.parametrize("number", ["+47580012345678", "+337000012345678", "+345901234567890", "+882350123456789"])
def test_a_machine_s_number_may_be_as_long_as_e_164_allows(number):
    assert held(new(msisdn(number)))[0][1] == number


@pytest.mark.parametrize(
    "number",
    ["+4758001234567890", "+99912345678", "+346000", "+34", "600 000 000", "+1 800 FLOWERS", "+34600000000 x1", "+\u0663\u0664600000000"],
)
def test_what_is_no_subscriber_s_number_in_e_164_is_refused(number):
    with pytest.raises(BadRequest, match="msisdn"):
        new(msisdn(number))


def test_a_number_is_held_while_both_it_and_the_product_last():
    stored = new(
        msisdn(startDateTime="2026-02-01T00:00:00Z", endDateTime="2026-03-01T00:00:00Z"),
        msisdn(startDateTime="2026-03-01T00:00:00Z"),
        terminationDate="2026-04-01T00:00:00Z",
    )

    assert [times for _, _, *times in held(stored)] == [["2026-02-01", "2026-03-01"], ["2026-03-01", "2026-04-01"]]


def test_other_characteristics_are_no_identifiers():
    stored = new({"name": "colour", "value": 7}, {"name": "userName", "value": " ada "}, {"name": "sim", "value": "8934"})

    assert [(kind, value) for kind, value, *_ in held(stored)] == [("userName", "ada"), ("sim", "8934")]


@pytest.mark.parametrize("status", ["cancelled", "aborted "])
def test_a_product_that_never_started_holds_nothing(status):
    assert held(new(msisdn(), status=status)) == []


@pytest.mark.parametrize(
    ("characteristics", "attributes"),
    [
        ([msisdn("600000000")], {}),
        ([msisdn("+1")], {}),
        ([msisdn(34600000000)], {}),
        ([{"name": "sim", "value": " "}], {}),
        ([{"name": "sim"}], {}),
        ([msisdn(), msisdn()], {}),
        ([msisdn(startDateTime="2026-03-01T00:00:00Z", endDateTime="2026-02-01T00:00:00Z")], {}),
        ([], {"terminationDate": "2025-01-01T00:00:00Z"}),
        ([], {"productOffering": {}}),
        ([], {"productOffering": {"id": "x" * 300}}),
        ([], {"status": "unheard of"}),
        ([], {"status": "aborted"}),
        ([], {"startDate": "yesterday"}),
        ([], {"billingAccount": "a1"}),
    ],
)
def test_what_does_not_fit_is_refused(characteristics, attributes):
    with pytest.raises(BadRequest):
        new(*characteristics, **attributes)


def test_a_product_names_its_account():
    with pytest.raises(BadRequest):
        account_of({"billingAccount": {}})


def test_a_closed_account_takes_no_product():
    with pytest.raises(BadRequest):
        new_product(BODY, "pr1", {"_id": "a1", "resource": {"state": "closed"}}, NOW)


def test_ending_a_product_ends_its_numbers():
    ended = patched_product(new(msisdn()), {"status": "terminated"}, LATER)

    assert held(ended) == [("msisdn", "+34600000000", "2026-01-01", "2026-05-01")]
    assert product_fact(ended).ended_at == LATER
    assert product_fact(ended).status is ProductStatus.TERMINATED


def test_an_ended_product_does_not_begin_again():
    ended = patched_product(new(msisdn()), {"status": "terminated"}, LATER)

    with pytest.raises(Conflict):
        patched_product(ended, {"status": "active"}, LATER)


def test_a_product_stays_with_its_account():
    with pytest.raises(BadRequest):
        patched_product(new(msisdn()), {"billingAccount": {"id": "a2"}}, LATER)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"callback": "ftp://x/y"},
        {"callback": "http://"},
        {"callback": "/relative"},
        {"callback": "http://x y/"},
        {"callback": "http://x:99999/"},
        {"callback": "http://x\n/"},
        {"callback": "http://x/" + "y" * 3000},
        {"callback": 7},
        {"callback": "http://x", "query": 7},
        {"callback": "http://x", "query": "eventType=A&b=c;d=e"},
    ],
)
def test_a_subscription_that_cannot_be_served_is_refused(body):
    with pytest.raises(BadRequest):
        new_subscription(body, "TMF678", "h1", NOW)


def history(stored):
    told = product_fact(stored)
    return (
        [(one.start, one.end) for one in told.suspensions],
        [(one.offering_id, one.until) for one in told.former_offerings],
    )


def test_a_suspension_lasts_from_the_status_until_another():
    suspended = patched_product(new(), {"status": "suspended"}, NOW)
    assert history(suspended) == ([(NOW, None)], [])

    renamed = patched_product(suspended, {"name": "Renamed"}, LATER)
    assert history(renamed) == ([(NOW, None)], [])
    assert history(patched_product(renamed, {"status": "active"}, LATER)) == ([(NOW, LATER)], [])
    assert history(patched_product(renamed, {"status": "terminated"}, LATER)) == ([(NOW, LATER)], [])


def test_a_product_may_begin_suspended():
    assert history(new(status="suspended")) == ([(datetime(2026, 1, 1, tzinfo=UTC), None)], [])


def test_a_product_keeps_which_offerings_it_had():
    moved = patched_product(new(), {"productOffering": {"id": "better"}}, NOW)
    moved = patched_product(moved, {"productOffering": {"id": "best"}}, LATER)

    assert history(moved) == ([], [("plan", NOW), ("better", LATER)])
    assert product_fact(moved).offering_id == "best"


@pytest.mark.parametrize("attributes", [{"status": "pendingActive"}, {"startDate": "2026-04-01T00:00:00Z"}])
def test_an_offering_that_was_changed_before_the_product_began_was_never_had(attributes):
    assert history(patched_product(new(**attributes), {"productOffering": {"id": "better"}}, NOW)) == ([], [])


def test_a_product_stored_before_its_history_was_kept_has_none():
    stored = {name: value for name, value in new().items() if name not in ("suspensions", "former_offerings")}

    assert history(patched_product(stored, {"status": "suspended"}, NOW)) == ([(NOW, None)], [])


def test_a_product_tells_with_which_group_it_shares_allowances():
    assert product_fact(new(msisdn())).group_id is None
    assert product_fact(new(msisdn(), {"name": "sharingGroup", "value": "smiths"})).group_id == "smiths"


@pytest.mark.parametrize("values", [["smiths", "jones"], [""], [7], [["smiths"]]])
def test_a_product_is_in_one_group_that_has_a_name(values):
    with pytest.raises(BadRequest):
        new(*({"name": "sharingGroup", "value": value} for value in values))

"""The catalogue: what becomes of its prices in a rate book, where its states lead, and how a rate book is shown in it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import TariffAccepted, TariffRefused
from libs.exact_json import read_json, write_json
from libs.pricing import parse_rate_book
from services.tmf_gateway.domain.book_keys import NAMED_KEYS
from services.tmf_gateway.domain.catalogue_book import book_text, shown_price, terms_by_currency
from services.tmf_gateway.domain.launching import answered_offering, new_offering, patched_offering, tariff_facts
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.shown_books import shown_books
from services.tmf_gateway.domain.tmf620 import (
    NEXT_STATES,
    PRODUCT_OFFERING,
    PRODUCT_OFFERING_PRICE,
    PRODUCT_SPECIFICATION,
    check_price_change,
    new_resource,
    patched_resource,
)
from tests.gateway_client import assert_conforms

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
DAY = timedelta(days=1)
LINKS = Links("https://api.example.com")
BOOKS = sorted((Path(__file__).parents[2] / "deploy/rate-books").glob("*.yaml"))


def characteristic(name, *values):
    return {"name": name, "productSpecCharacteristicValue": [{"value": value} for value in values]}


def price(id, **attributes):
    body = {"name": id, "priceType": "usage", "price": {"unit": "EUR", "value": Decimal("0.10")}, **attributes}
    return {id: new_resource("ProductOfferingPrice", body, id, NOW - DAY, state="Active")}


SMS = [characteristic("usageType", "sms")]
CALLS = price(
    "calls",
    unitOfMeasure={"amount": 60, "units": "s"},
    prodSpecCharValueUse=[
        characteristic("usageType", "voice"),
        characteristic("called", "+34", "+351"),
        characteristic("setupFee", Decimal("0.15")),
    ],
)
FEE = price(
    "fee", priceType="recurring", price={"unit": "EUR", "value": 9}, recurringChargePeriodType="month", tax=[{"taxCategory": "reduced"}]
)
PRICES = {**CALLS, **FEE}


def offering(*named, state="Launched", prices=PRICES, **attributes):
    references = [{"id": id} for id in named or prices]
    body = {"name": "Mobile", "lifecycleStatus": state, "productOfferingPrice": references, **attributes}
    return new_offering(body, "o1", prices, NOW)


def published(stored):
    return [yaml.load(publication["text"], Loader=yaml.BaseLoader) for publication in stored["publications"]]


def shown(resource, stored):
    answer = read_json(write_json(resource.render(stored, LINKS)))
    assert_conforms(answer, "TMF620", resource.definition)
    return answer


def accepted(stored, at=NOW):
    """The offering once rating has accepted all that it was published as."""
    for publication in stored["publications"]:
        answer = TariffAccepted(
            id=publication["id"], book_id=publication["book_id"], effective_from=publication["effective_from"], accepted_at=at
        )
        stored = answered_offering(stored, answer)
    return stored


def refused(stored):
    publication = stored["publications"][-1]
    return answered_offering(stored, TariffRefused(id=publication["id"], book_id=publication["book_id"], faults=("no",), refused_at=NOW))


def test_a_launched_offering_is_a_rate_book():
    assert published(offering()) == [
        {
            "id": "catalog-o1.1.EUR",
            "format": "2",
            "home_networks": "none",
            "effective_from": "2026-11-25T09:00:00+00:00",
            "currency": "EUR",
            "offerings": {
                "o1": {
                    "usage_prices": [
                        {
                            "id": "calls",
                            "description": "calls",
                            "match": {"usage_type": "voice", "called": ["+34", "+351"]},
                            "price": {"amount": "0.10", "per": "60 s"},
                            "setup_fee": "0.15",
                        }
                    ],
                    "recurring_prices": [
                        {"id": "fee", "description": "fee", "amount": "9", "period": "month", "tax_category": "reduced"},
                    ],
                }
            },
        }
    ]


def test_the_facts_of_a_launch_are_the_books():
    stored = offering()

    (fact,) = tariff_facts(stored, None)
    assert (fact.id, fact.book_id, fact.text) == tuple(stored["publications"][0][name] for name in ("id", "book_id", "text"))
    assert tariff_facts(stored, stored) == []


@pytest.mark.parametrize("state", [state for state in NEXT_STATES if state != "Launched"])
def test_only_a_launched_offering_is_published(state):
    assert published(offering(state=state)) == []


def test_an_offering_is_priced_from_its_start_on_even_if_that_has_passed():
    (book,) = published(offering(validFor={"startDateTime": "2026-01-01T00:00:00Z"}))

    assert book["effective_from"] == "2026-01-01T00:00:00+00:00"


def test_each_currency_has_a_book_of_its_own():
    dollars = price("dollars", price={"unit": "USD", "value": 1}, prodSpecCharValueUse=[characteristic("usageType", "sms")])
    stored = offering(prices={**CALLS, **dollars})

    assert [(book["id"], book["currency"]) for book in published(stored)] == [("catalog-o1.1.EUR", "EUR"), ("catalog-o1.1.USD", "USD")]


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        (
            {"unitOfMeasure": {"amount": 1, "units": "parsec"}, "prodSpecCharValueUse": [characteristic("usageType", "voice")]},
            "unknown unit 'parsec'",
        ),
        ({}, "match"),
        ({"price": {"value": 1}}, "lacks price.unit"),
        ({"priceType": "discount"}, "priceType must be recurring, oneTime or usage"),
        ({"lifecycleStatus": "Obsolete"}, "is Obsolete"),
        ({"prodSpecCharValueUse": [characteristic("usageType", "voice"), characteristic("setUpFee", 1)]}, "'setUpFee'.*setupFee"),
        ({"prodSpecCharValueUse": [characteristic("usageType", "voice"), characteristic("Setup Fee", 1)]}, "'Setup Fee'.*usage price"),
        ({"priceType": "recurring", "prodSpecCharValueUse": [characteristic("setupFee", 1)]}, "'setupFee'.*recurring price.*charged"),
        ({"priceType": "oneTime", "prodSpecCharValueUse": [characteristic("setupFee", 1)]}, "'setupFee'.*oneTime price.*chargedAt"),
        ({"prodSpecCharValueUse": [characteristic("usageType", "voice")], "tax": [{"taxRate": 21}]}, "tax without a taxCategory"),
        ({"percentage": 10}, "has percentage, which would change nothing"),
        ({"pricingLogicAlgorithm": [{"name": "loyalty"}]}, "has pricingLogicAlgorithm"),
        ({"constraint": [{"id": "students"}]}, "has constraint.*an offering of their own"),
        ({"place": [{"id": "Madrid"}]}, "has place.*an offering of their own"),
        ({"productOfferingTerm": [{"name": "24 months"}]}, "has productOfferingTerm.*an offering of their own"),
        ({"priceType": "recurring", "unitOfMeasure": {"amount": 1, "units": "GB"}}, "has unitOfMeasure, which is of a usage price"),
        ({"recurringChargePeriodType": "month"}, "has recurringChargePeriodType, which is of a recurring price"),
        ({"priceType": "recurring", "recurringChargePeriodLength": 0}, "'0 months'"),
        ({"priceType": "oneTime", "recurringChargePeriodLength": 3}, "has recurringChargePeriodLength, which is of a recurring price"),
        ({"prodSpecCharValueUse": SMS, "tax": [{"taxCategory": "a"}, {"taxCategory": "b"}]}, "has 2 taxes"),
        ({"prodSpecCharValueUse": SMS, "tax": [{"taxCategory": "a", "taxRate": 21}]}, "has tax.taxRate.*tax table"),
        ({"prodSpecCharValueUse": [*SMS, *SMS]}, "has the characteristic 'usageType' twice"),
        ({"prodSpecCharValueUse": [*SMS, characteristic("setupFee", 1), characteristic("setup_fee", 2)]}, "'setup_fee' twice"),
        ({"prodSpecCharValueUse": [*SMS, characteristic("setupFee")]}, "'setupFee' has no value"),
        ({"prodSpecCharValueUse": [*SMS, {"name": "setupFee"}]}, "'setupFee' has no value"),
        (
            {"prodSpecCharValueUse": [*SMS, {"name": "setupFee", "productSpecCharacteristicValue": [{"valueFrom": "1", "valueTo": "2"}]}]},
            "'setupFee' has a value with valueFrom",
        ),
        (
            {"prodSpecCharValueUse": [*SMS, {"name": "minimum", "productSpecCharacteristicValue": [{"value": 1, "unitOfMeasure": "USD"}]}]},
            "'minimum' has a value with unitOfMeasure",
        ),
        (
            {"prodSpecCharValueUse": [*SMS, {**characteristic("minimum", 1), "validFor": {"startDateTime": "2027-01-01T00:00:00Z"}}]},
            "'minimum' has validFor",
        ),
        ({"popRelationship": [{"id": "other", "relationshipType": "discount"}]}, "has popRelationship"),
        (
            {"validFor": {"startDateTime": "2026-12-01T00:00:00Z"}},
            "none is valid from 2026-11-25T09:00:00.00:00 on: let a price begin with the offering",
        ),
        ({"validFor": {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2027-01-01T00:00:00Z"}}, "none is valid from 2027-01-01"),
    ],
)
def test_prices_that_make_no_rate_book_are_told_at_once(attributes, says):
    with pytest.raises(BadRequest, match=says):
        offering(prices=price("bad", **attributes))


@pytest.mark.parametrize(
    ("characteristics", "says"),
    [
        ([characteristic("discount", {"percent": 10})], "'discount'.*do you mean discounts"),
        ([characteristic("minimumComitment", {"amount": 10})], "'minimumComitment'.*do you mean minimumCommitment"),
        ([characteristic("Spending Cap", {"amount": 10})], "'Spending Cap'.*do you mean spendingCap"),
        ([characteristic("timebands", {})], "'timebands'.*do you mean timeBands"),
        ([characteristic("setupFee", 1)], "'setupFee', which is of a price: say it with its productOfferingPrice"),
        ([characteristic("allowances")], "'allowances' has no value"),
        ([characteristic("zones", {"a": ["+1"]}), characteristic("zones", {"b": ["+2"]})], "'zones' twice"),
        ([{"productSpecCharacteristicValue": [{"value": 1}]}], "a characteristic without a name"),
        ([characteristic("volume", {"up_to": 1})], "'volume', which is of a price"),
    ],
)
def test_what_would_change_a_price_and_is_not_understood_is_refused(characteristics, says):
    with pytest.raises(BadRequest, match=says):
        offering(prodSpecCharValueUse=characteristics)
    assert offering(state="Active", prodSpecCharValueUse=characteristics)["resource"]["prodSpecCharValueUse"] == characteristics


def test_what_only_describes_an_offering_stays_with_it_and_out_of_its_book():
    described = [
        characteristic("colour", "red", "blue"),
        characteristic("colour", "green"),
        characteristic("volume", "10 GB"),
        {"name": "x"},
    ]
    stored = offering(prodSpecCharValueUse=described)

    assert shown(PRODUCT_OFFERING, stored)["prodSpecCharValueUse"] == described
    assert published(stored) == published(offering())


@pytest.mark.parametrize("characteristics", [[], [characteristic("spendingCap", {"amount": 1})], [characteristic("speed", "1 Gbit/s")]])
def test_an_offering_without_a_price_is_not_launched(characteristics):
    with pytest.raises(BadRequest, match="productOfferingPrice is missing: an offering is launched with at least one"):
        offering(prices={}, prodSpecCharValueUse=characteristics)
    assert published(offering(prices={}, state="Active", prodSpecCharValueUse=characteristics)) == []


def test_a_price_may_begin_with_its_offering():
    from_january = {"validFor": {"startDateTime": "2027-01-01T00:00:00Z"}}

    assert (
        len(
            published(
                offering(
                    prices=price("calls", **{**from_january, "prodSpecCharValueUse": [characteristic("usageType", "sms")]}), **from_january
                )
            )
        )
        == 1
    )


def test_a_price_that_does_not_exist_is_refused_in_any_state():
    with pytest.raises(BadRequest, match="productOfferingPrice gone does not exist"):
        offering("gone", state="In study")


def test_an_accepted_offering_says_since_when_it_is_priced():
    stored = accepted(offering())

    assert shown(PRODUCT_OFFERING, stored)["statusReason"] == "in force as rate book catalog-o1.1.EUR from 2026-11-25T09:00:00+00:00"
    assert (stored["revision"], stored["resource"]["lifecycleStatus"]) == (2, "Launched")


def test_a_refused_offering_is_active_again_and_says_why():
    stored = refused(offering())

    assert stored["resource"]["lifecycleStatus"] == "Active"
    assert stored["resource"]["statusReason"] == "rate book catalog-o1.1.EUR was refused: no"
    again = patched_offering(stored, {"lifecycleStatus": "Launched"}, PRICES, NOW + DAY)
    assert [publication["book_id"] for publication in again["publications"]] == ["catalog-o1.1.EUR", "catalog-o1.3.EUR"]


def test_an_answer_that_comes_again_changes_nothing():
    stored = accepted(offering())

    assert accepted(stored) == stored


def test_another_price_list_is_another_book_from_now_on():
    stored = accepted(offering())
    changed = patched_offering(stored, {"productOfferingPrice": [{"id": "calls"}]}, PRICES, NOW + DAY)

    first, second = published(changed)
    assert (second["id"], second["effective_from"]) == ("catalog-o1.3.EUR", "2026-11-26T09:00:00+00:00")
    assert "recurring_prices" not in second["offerings"]["o1"]
    assert first["id"] == "catalog-o1.1.EUR"
    still_launched = refused(changed)
    assert still_launched["resource"]["lifecycleStatus"] == "Launched"


def test_a_book_that_is_not_in_force_yet_is_replaced():
    stored = accepted(offering(validFor={"startDateTime": "2027-01-01T00:00:00Z"}))
    changed = patched_offering(stored, {"validFor": {"startDateTime": "2027-02-01T00:00:00Z"}}, PRICES, NOW + DAY)

    assert [(book["id"], book["effective_from"][:10]) for book in published(changed)] == [
        ("catalog-o1.1.EUR", "2027-01-01"),
        ("catalog-o1.1.EUR", "2027-02-01"),
    ]


def test_a_text_that_was_replaced_may_be_published_again():
    stored = offering(validFor={"startDateTime": "2027-01-01T00:00:00Z"})
    for day, start in ((1, "2027-02-01T00:00:00Z"), (2, "2027-01-01T00:00:00Z")):
        before, stored = stored, patched_offering(stored, {"validFor": {"startDateTime": start}}, PRICES, NOW + day * DAY)

    first, second, third = stored["publications"]
    assert (first["id"] == third["id"], first["id"] == second["id"]) == (True, False)
    assert [fact.published_at for fact in tariff_facts(stored, before)] == [NOW + 2 * DAY]
    assert [publication["state"] for publication in accepted(stored)["publications"]] == ["accepted"] * 3


def test_a_currency_that_customers_pay_in_stays():
    dollars = price("dollars", price={"unit": "USD", "value": 1}, prodSpecCharValueUse=[characteristic("usageType", "sms")])
    stored = accepted(offering(prices={**CALLS, **dollars}))

    assert stored["resource"]["statusReason"].count("in force as rate book") == 2
    with pytest.raises(Conflict, match="pay for this offering in USD"):
        patched_offering(stored, {"productOfferingPrice": [{"id": "calls"}]}, {**CALLS, **dollars}, NOW + DAY)


def test_a_retired_offering_can_still_become_dearer_and_an_unsold_one_is_not_priced():
    retired = patched_offering(accepted(offering()), {"lifecycleStatus": "Retired"}, PRICES, NOW + DAY)
    changed = patched_offering(retired, {"productOfferingPrice": [{"id": "calls"}]}, PRICES, NOW + DAY)

    assert len(changed["publications"]) == 2
    assert patched_offering(offering(state="Active"), {"lifecycleStatus": "Retired"}, PRICES, NOW)["publications"] == []


@pytest.mark.parametrize("patch", [{"description": "Cheap"}, {"lifecycleStatus": "Retired"}])
def test_what_asks_for_no_other_price_publishes_nothing(patch):
    stored = accepted(offering())

    assert len(patched_offering(stored, patch, PRICES, NOW + DAY)["publications"]) == 1


@pytest.mark.parametrize("before", NEXT_STATES)
@pytest.mark.parametrize("after", NEXT_STATES)
def test_states_follow_one_another(before, after):
    stored = new_resource("ProductSpecification", {"name": "s", "lifecycleStatus": before}, "s", NOW, state="Active")
    if after == before or after in NEXT_STATES[before]:
        assert patched_resource("ProductSpecification", stored, {"lifecycleStatus": after}, NOW)["resource"]["lifecycleStatus"] == after
    else:
        with pytest.raises(Conflict, match=f"that is {before} can become"):
            patched_resource("ProductSpecification", stored, {"lifecycleStatus": after}, NOW)


@pytest.mark.parametrize("written", ["in design", "IN DESIGN", "inDesign", "In design"])
def test_states_are_understood_however_they_are_spelt(written):
    stored = new_resource("ProductSpecification", {"name": "s", "lifecycleStatus": written}, "s", NOW, state="Active")

    assert shown(PRODUCT_SPECIFICATION, stored)["lifecycleStatus"] == "In design"


def test_a_price_that_customers_pay_asks_what_it_asked():
    before = PRICES["fee"]
    cheaper = patched_resource("ProductOfferingPrice", before, {"price": {"value": 8}}, NOW)
    described = patched_resource("ProductOfferingPrice", before, {"description": "Monthly"}, NOW)

    check_price_change(cheaper, before, [], NOW)
    check_price_change(described, before, ["o1"], NOW)
    with pytest.raises(Conflict, match="its price cannot change: create another productOfferingPrice"):
        check_price_change(cheaper, before, ["o1"], NOW)


def tariff(text):
    book = parse_rate_book(text, "")
    return {"_id": book.id, "text": text, "currency": book.currency, "effective_from": book.effective_from, "accepted_at": NOW}


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_rate_book_is_shown_and_makes_the_same_book_again(path):
    text = path.read_text()
    written = yaml.load(text, Loader=yaml.BaseLoader)
    offerings, prices = shown_books([tariff(text)])

    by_id = {stored["_id"]: shown(PRODUCT_OFFERING_PRICE, stored) for stored in prices}
    for stored in offerings:
        answer = shown(PRODUCT_OFFERING, stored)
        terms = {
            currency: {key: [{**term, "id": term["id"].rpartition(":")[2]} for term in listed] for key, listed in lists.items()}
            for currency, lists in terms_by_currency(
                (reference["id"], by_id[reference["id"]]) for reference in answer["productOfferingPrice"]
            ).items()
        }
        remade = yaml.load(
            book_text("again", NOW, written["currency"], stored["_id"], answer, terms[written["currency"]]), Loader=yaml.BaseLoader
        )
        assert parse_rate_book(yaml.safe_dump(remade), "again").offerings.keys() == {stored["_id"]}
        inherited = {key: written[key] for key in ("rounding", "crossing") if key in written}
        assert remade["offerings"][stored["_id"]] == {**inherited, **written["offerings"][stored["_id"]]}
        for kind in set(NAMED_KEYS) & remade.keys():
            assert remade[kind].items() <= written[kind].items()
        assert remade["home_networks"] == written.get("home_networks", "none")


def test_the_prices_of_a_book_end_where_the_next_one_begins():
    def book(id, day):
        return (
            f"id: {id}\neffective_from: {day}\ncurrency: EUR\nofferings:\n  basic:\n    recurring_prices:\n"
            "      - {id: fee, description: Fee, amount: 9.99, period: 3 months}\n"
        )

    offerings, prices = shown_books([tariff(book("old", "2026-01-01")), tariff(book("new", "2026-07-01"))])

    assert [
        (
            stored["_id"],
            stored["resource"]["validFor"]["startDateTime"].date().isoformat(),
            stored["resource"]["validFor"].get("endDateTime"),
        )
        for stored in prices
    ] == [("new:basic:fee", "2026-07-01", None), ("old:basic:fee", "2026-01-01", datetime(2026, 7, 1, tzinfo=UTC))]
    assert (offerings[0]["_id"], offerings[0]["rate_books"]) == ("basic", ["old", "new"])
    shown_fee = shown(PRODUCT_OFFERING_PRICE, prices[0])
    assert (shown_fee["recurringChargePeriodType"], shown_fee["recurringChargePeriodLength"]) == ("month", 3)


@pytest.mark.parametrize("definition", ["ProductOffering", "ProductOfferingPrice"])
def test_what_shows_a_rate_book_cannot_be_changed(definition):
    offerings, prices = shown_books([tariff(BOOKS[0].read_text())])
    stored = (offerings if definition == "ProductOffering" else prices)[0]

    with pytest.raises(Conflict, match="publish another rate book"):
        patched_resource(definition, stored, {"name": "mine"}, NOW)


KEYS = st.sampled_from(["setup_fee", "minimum", "maximum", "increments", "free_first", "graduated"])
TEXTS = st.text("abc0123456789.", min_size=1)
VALUES = st.recursive(
    TEXTS, lambda inner: st.lists(inner, min_size=2) | st.dictionaries(TEXTS.map(lambda text: f"k{text}"), inner), max_leaves=5
)


@given(st.dictionaries(KEYS, VALUES), st.sampled_from(["1 event", "60 s", "0.5 MB"]), st.decimals(0, 1000, places=6))
def test_terms_come_through_the_catalogue_unchanged(more, per, amount):
    term = {"id": "p", "description": "P", "match": {"usage_type": "voice"}, "price": {"amount": format(amount, "f"), "per": per}, **more}

    assert terms_by_currency([("p", shown_price("usage_prices", "EUR", term))]) == {"EUR": {"usage_prices": [term]}}


NAMES = st.sampled_from(
    ["usageType", "called", "increments", "setupFee", "graduated", "timeBand", "characteristics", "zones", "allowances"]
)
ANYTHING = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.decimals(allow_nan=False, allow_infinity=False, places=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["up_to", "price", "amount", "per", "é"]), inner, max_size=3)
    ),
    max_leaves=6,
)
CHARACTERISTICS = st.lists(st.tuples(NAMES, st.lists(ANYTHING, max_size=2)), max_size=4).map(
    lambda named: [characteristic(name, *values) for name, values in named]
)


@given(
    CHARACTERISTICS,
    CHARACTERISTICS,
    st.sampled_from(["usage", "recurring", "oneTime"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6),
)
def test_whatever_a_client_sends_makes_a_rate_book_or_is_refused(of_price, of_offering, kind, text):
    measured = {"usage": {"unitOfMeasure": {"amount": 1, "units": text}}, "recurring": {"recurringChargePeriodType": text}}
    attributes = {"priceType": kind, **measured.get(kind, {})}
    prices = price("p", prodSpecCharValueUse=of_price, **attributes)
    try:
        stored = offering(prices=prices, prodSpecCharValueUse=of_offering)
    except BadRequest:
        return
    (book,) = published(stored)
    assert parse_rate_book(stored["publications"][0]["text"], "").id == book["id"]

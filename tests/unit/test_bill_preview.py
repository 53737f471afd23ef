"""What a client is shown of a bill that is not issued, and what becomes of previewed charges."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from jsonschema import Draft4Validator

from libs.contracts import BillDiscount, BillPreviewed, BillPreviewRefused, BillPreviewRequested, BillState, ChargesPreviewed, RunType
from libs.exact_json import read_json, write_json
from libs.runtime import Batch, to_document
from services.invoicing.handlers import preview_bills
from services.tmf_gateway.domain.bill_preview import PREVIEW_PATH, bill_preview
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.openapi import openapi_document
from tests.closings import TERMS, on_demand
from tests.gateway_client import a_bill, assert_conforms
from tests.outcomes import account

LINKS = Links("https://api.example.com")
NOW = datetime(2026, 3, 20, tzinfo=UTC)


class KnownAccounts:
    """Invoicing's copies as far as previews read them."""

    async def find(self, account_ids):
        return {id: account(id) for id in account_ids if id != "stranger"}


async def previewed(*amounts: str, account_id: str = "ada", **fields):
    charges = on_demand(account_id, *amounts, request_id="p1", **fields)
    asked = ChargesPreviewed(id="p1", account_id=account_id, charges=charges)
    (answer,) = await preview_bills(Batch([asked], [], NOW), accounts=KnownAccounts(), terms=TERMS)
    return answer


def test_a_preview_asks_for_the_cut_of_a_bill_on_demand():
    cut = BillPreviewRequested(id="p" * 256, account_id="ada", requested_at=NOW).cut()

    assert (cut.run_type, cut.period, cut.account_id, cut.requested_at) == (RunType.OFF_CYCLE, None, "ada", NOW)


async def test_a_previewed_bill_has_its_tax_and_no_number():
    answer = await previewed("10.00", "0.50")

    assert isinstance(answer, BillPreviewed)
    assert (answer.request_id, answer.bill.bill_no, answer.bill.state) == ("p1", "-", BillState.NEW)
    assert (answer.bill.tax_excluded_amount, answer.bill.tax_included_amount) == (Decimal("10.50"), Decimal("12.71"))


@pytest.mark.parametrize(
    ("amounts", "fields", "reason"),
    [
        ((), {}, "nothing to bill"),
        (("1.00",), {"account_id": "stranger"}, "account stranger is not known"),
        (("1.00",), {"currency": "USD"}, "make them the same currency"),
        (("1.005",), {}, "1.005"),
    ],
)
async def test_what_could_not_be_billed_is_refused_with_the_reason(amounts, fields, reason):
    answer = await previewed(*amounts, **fields)

    assert isinstance(answer, BillPreviewRefused)
    assert reason in answer.reason


def test_a_client_sees_the_bill_and_its_lines_without_what_only_an_issued_one_has():
    staff = BillDiscount(discount_id="staff", product_id="product-1", product_name="Mobile", description="Staff", amount=Decimal("-2.73"))
    shown = read_json(write_json(bill_preview(to_document(a_bill(1, amount="45.07", discounts=(staff,))), LINKS)))

    assert not {"id", "href", "billNo", "billDocument", "remainingAmount"} & shown.keys()
    assert (shown["state"], shown["taxIncludedAmount"]["value"]) == ("preview", Decimal("54.53"))
    (rate,) = shown["appliedCustomerBillingRate"]
    assert_conforms({**rate, "id": "given by the cut"}, "TMF678", "AppliedCustomerBillingRate")
    assert (rate["taxExcludedAmount"]["value"], rate["taxIncludedAmount"]["value"]) == (Decimal("45.07"), Decimal("54.53"))
    assert (rate["isBilled"], rate["description"], rate["product"]["id"]) == (False, "Calls by day", "product-1")
    assert [discount["amount"]["value"] for discount in shown["discountAfterTax"]] == [Decimal("-2.73")]


def test_a_line_whose_price_includes_tax_shows_its_amount_before_tax_once():
    bill = a_bill(1, amount="10.00")
    gross = bill.model_copy(update={"lines": (bill.lines[0].model_copy(update={"is_tax_included": True}),)})

    (rate,) = bill_preview(to_document(gross), LINKS)["appliedCustomerBillingRate"]

    assert [rate[name]["value"] for name in ("taxExcludedAmount", "taxIncludedAmount")] == [Decimal("10.00"), Decimal("12.10")]


def test_the_answer_is_as_the_documentation_describes_it():
    document = openapi_document("https://api.example.com")
    operation = document["paths"][PREVIEW_PATH]["post"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]

    shown = read_json(write_json(bill_preview(to_document(a_bill(1)), LINKS)))

    Draft4Validator({**schema, "components": document["components"]}).validate(shown)
    assert shown.keys() <= schema["properties"].keys()
    assert shown["appliedCustomerBillingRate"][0].keys() <= schema["properties"]["appliedCustomerBillingRate"]["items"]["properties"].keys()
    assert operation["responses"].keys() == {"200", "400", "406", "409", "413", "415", "503"}

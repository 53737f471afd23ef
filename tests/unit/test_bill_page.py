"""What stands on a bill, and that no name can break it or be taken for code."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import typst

from libs.billing import TaxTable
from libs.billing.tax_table import DatedTax
from libs.billing.taxes import Tax
from libs.contracts import BillIssued, ChargeKind, ChargeLine, PostalAddress
from libs.contracts.adjustments import Discount, DiscountDue
from libs.periods import calendar_month
from services.invoicing.domain.bill_page import ZERO_WIDTH_SPACE, bill_page, printable
from services.invoicing.fonts import OWN_FONTS, package_fonts
from services.invoicing.rendering import UnknownTemplate, render_bill
from tests.closings import TERMS, closed, line
from tests.outcomes import bill_of

CODE = '#panic("x") #read("/etc/passwd") $x^2$ \\ `raw` *b* _i_ @ref <label> [ ] { } // /* "quoted"'


def bill(*lines: ChargeLine, currency: str = "EUR", locale: str = "en", **account_fields: Any) -> BillIssued:
    return bill_of(closed("ada", lines=lines, currency=currency), **account_fields).model_copy(update={"locale": locale})


def voice(charge_id: str, amount: str, seconds: int, **fields: Any) -> ChargeLine:
    return line(charge_id, amount, **{"quantity": Decimal(seconds), "usage_count": 3, **fields})


def test_lines_are_grouped_by_product_and_usage_type_with_their_sums():
    page = bill_page(
        bill(
            voice("c1", "27.05", 9547, usage_count=110),
            voice("c2", "16.60", 11720, usage_count=99),
            line("c3", "19.90", kind=ChargeKind.RECURRING, usage_type=None, unit=None, usage_count=0, quantity=Decimal(1)),
            voice("c4", "1.00", 60, product_id="line-2", product_name="Fixed line"),
        )
    )
    mobile, fixed = page["products"]
    assert (mobile["name"], mobile["amount"], fixed["name"]) == ("Mobile", "€63.55", "Fixed line")
    calls, fees = mobile["groups"]
    assert (calls["name"], calls["count"], calls["quantity"], calls["amount"]) == ("Calls", "209", "354 min 27 s", "€43.65")
    assert [entry["quantity"] for entry in calls["lines"]] == ["159 min 7 s", "195 min 20 s"]
    assert (fees["name"], fees["lines"][0]["quantity"], fees["lines"][0]["count"]) == ("Recurring fees", "", "")
    assert [row["amount"] for row in page["summary"]] == ["€63.55", "€1.00"]
    assert [row["amount"] for row in page["subtotals"]] == ["€64.55", "€13.56"]
    assert (page["total"]["amount"], page["due"]["amount"]) == ("€78.11", "€78.11")
    assert page["taxes"] == [{"name": "standard", "rate": "21%", "base": "€64.55", "amount": "€13.56"}]


def test_discounts_caps_and_commitments_stand_after_what_they_change():
    made = [(ChargeKind.DISCOUNT, "-2.00"), (ChargeKind.CAP, "-1.00"), (ChargeKind.COMMITMENT, "5.00"), (ChargeKind.ADJUSTMENT, "-0.50")]
    page = bill_page(
        bill(
            voice("c1", "20.00", 60),
            *(line(kind.value, amount, kind=kind, usage_type=None, unit=None, usage_count=0, quantity=Decimal(0)) for kind, amount in made),
        )
    )
    groups = page["products"][0]["groups"]
    assert [group["name"] for group in groups] == ["Calls", "Discounts", "Spending cap", "Minimum commitment", "Corrections"]
    assert [group["lines"][0]["amount"] for group in groups] == ["€20.00", "-€2.00", "-€1.00", "€5.00", "-€0.50"]


def test_each_tax_is_shown_with_what_it_is_on():
    gst, qst = Tax("gst", Decimal(5)), Tax("qst", Decimal("9.5"), ("gst",))
    terms = replace(TERMS, tax_table=TaxTable({"": {"standard": (DatedTax(gst), DatedTax(qst)), "reduced": (DatedTax(gst),)}}))
    page = bill_page(bill_of(closed("ada", lines=[line("c1", "100.00"), line("c2", "10.00", tax_category="reduced")]), terms=terms))
    assert page["taxes"] == [
        {"name": "gst", "rate": "5%", "base": "€110.00", "amount": "€5.50"},
        {"name": "qst, also on gst", "rate": "9.5%", "base": "€105.00", "amount": "€9.98"},
    ]
    assert [row["name"] for row in page["subtotals"]] == ["Total before tax", "Tax 5% (gst)", "Tax 9.5% (qst, also on gst)"]


def test_discounts_after_tax_lead_from_the_total_to_the_amount_due():
    staff = Discount(id="staff", description="Staff discount", model="percent", percent=Decimal(10), is_after_tax=True)
    due = (DiscountDue(product_id="line-1", product_name="Mobile", discount=staff),)
    page = bill_page(bill_of(closed("ada", "100.00", discounts_after_tax=due)))
    assert [(row["name"], row["amount"]) for row in (*page["subtotals"], page["total"])] == [
        ("Total before tax", "€100.00"),
        ("Tax 21% (standard)", "€21.00"),
        ("Total including tax", "€121.00"),
        ("Staff discount", "-€12.10"),
        ("Amount due in EUR", "€108.90"),
    ]
    assert page["due"]["amount"] == "€108.90"


def test_a_line_tells_its_period_when_it_is_not_the_bills():
    page = bill_page(bill(voice("c1", "1.00", 60), voice("c2", "1.00", 60, period=calendar_month("2026-02", "Europe/Madrid"))))
    assert [entry["period"] for entry in page["products"][0]["groups"][0]["lines"]] == ["", "Feb 1, 2026 – Feb 28, 2026"]


@pytest.mark.parametrize(
    ("unit", "quantity", "shown"),
    [
        ("s", "59", "0 min 59 s"),
        ("s", "3600", "60 min"),
        ("s", "61.5", "1 min 1.5 s"),
        ("byte", "999", "999 bytes"),
        ("byte", "12345678901", "12.35 GB"),
        ("byte", "1500000000000", "1.5 TB"),
        ("message", "1", "1 message"),
        ("message", "1234", "1,234 messages"),
    ],
)
def test_quantities_are_shown_in_units_that_people_use(unit: str, quantity: str, shown: str):
    page = bill_page(bill(line("c1", "1.00", unit=unit, quantity=Decimal(quantity))))
    assert page["products"][0]["groups"][0]["lines"][0]["quantity"] == shown


@pytest.mark.parametrize(
    ("currency", "locale", "amount", "shown"),
    [
        ("EUR", "en", "1234567.89", "€1,234,567.89"),
        ("EUR", "de", "1234.50", "1.234,50\xa0€"),
        ("USD", "en", "-5.00", "-$5.00"),
        ("JPY", "en", "1234", "¥1,234"),
        ("KWD", "en", "1.234", "KWD\xa01.234"),
        ("LAK", "en", "10.50", "LAK\xa010.50"),
        ("EUR", "en", "123456789012345678901.78", "€123,456,789,012,345,678,901.78"),
    ],
)
def test_amounts_follow_currency_and_locale_to_the_last_digit(currency: str, locale: str, amount: str, shown: str):
    page = bill_page(bill(line("c1", amount), currency=currency, locale=locale))
    assert page["products"][0]["amount"] == shown


def test_days_are_those_of_the_accounts_zone_and_the_page_names_it():
    page = bill_page(bill(voice("c1", "1.00", 60), time_zone="Pacific/Auckland"))
    assert {fact["name"]: fact["value"] for fact in page["facts"]} == {
        "Bill number": "2026-00000001",
        "Bill date": "April 1, 2026",
        "Billing period": "Mar 1, 2026 – Apr 1, 2026",
        "Payment due": "April 15, 2026",
        "Account": "ada",
    }
    assert page["footer"][-1] == "Dates and periods in the time zone Pacific/Auckland."


def test_a_credit_is_not_asked_for():
    due = bill_page(bill(line("c1", "-10.00")))["due"]
    assert due == {"label": "Credit in your favour", "date": "Nothing to pay", "amount": "€12.10"}


def test_long_words_can_break_and_control_characters_vanish():
    assert printable("x" * 50).replace(ZERO_WIDTH_SPACE, "|") == f"{'x' * 24}|{'x' * 24}|xx"
    assert printable(" a\tb\r\nc\u202ed\ue000 ") == "a b cd"


def test_the_same_bill_renders_to_the_same_bytes():
    ada = bill(*(voice(f"c{n}", "1.00", 60) for n in range(4)))
    pdf = render_bill(ada).body
    assert pdf == render_bill(ada).body
    assert pdf.startswith(b"%PDF-")
    assert b"<pdfaid:part>3</pdfaid:part>" in pdf


def test_a_rendering_carries_the_bills_own_date():
    ada = bill(voice("c1", "1.00", 60)).model_copy(update={"bill_date": datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)})
    assert re.search(rb"2026-05-06T07:08:09", render_bill(ada).body)


@pytest.mark.parametrize(
    "name",
    [CODE, "", "😀👩‍👩‍👧 张伟 محمد علي שלום नमस्ते", "W" * 4096, "\n\t\x07", "\u202eabc", "\U000e0041\ue000"],
    ids=["code", "empty", "scripts", "long", "control", "direction", "private"],
)
def test_no_name_breaks_a_bill(name: str):
    odd = bill(
        voice("c1", "1.00", 60, description=name, product_name=name, usage_type="x", unit="s"),
        name=name,
        address=PostalAddress(street=name, city=name, country=name),
    )
    assert render_bill(odd).body.startswith(b"%PDF-")


def test_a_bill_of_many_lines_renders():
    assert render_bill(bill(*(voice(f"c{n}", "1.00", 60, product_id=f"p{n % 9}") for n in range(400)))).body.startswith(b"%PDF-")


def test_a_layout_that_is_not_there_is_named():
    with pytest.raises(UnknownTemplate, match="bill-99"):
        render_bill(bill(voice("c1", "1.00", 60)).model_copy(update={"template_version": "bill-99"}))


SCRIPTS = {
    "Greek": "Ελληνική Εταιρεία",
    "Cyrillic": "Привет Україна",
    "Vietnamese": "Công ty Viễn thông Việt Nam",
    "Chinese": "中国移动通信有限公司",
    "Japanese": "円の会社カブシキ",
    "Korean": "주식회사 한국통신",
    "Hebrew": "חברת הטלפונים",
    "Arabic": "شركة الاتصالات",
    "Hindi": "भारत संचार निगम",
    "Tamil": "தமிழ் தொலைபேசி",
    "Telugu": "తెలుగు టెలిఫోన్",
    "Thai": "บริษัทโทรศัพท์",
    "Khmer": "ទូរស័ព្ទកម្ពុជា",
}


def without_system_fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[OWN_FONTS, *package_fonts()])


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_machine_without_fonts_of_its_own_sets_the_scripts_of_its_customers(script: str):
    rendered = render_bill(bill(voice("c1", "1.00", 60, description=SCRIPTS[script]), name=SCRIPTS[script]), without_system_fonts())
    assert rendered.missing_glyphs == ()
    assert b"pdfaid" in rendered.body


def test_texts_that_no_font_has_are_named():
    rendered = render_bill(bill(voice("c1", "1.00", 60, description="Runes ᚠᚢ and cuneiform 𒀀"), name="Ada"), without_system_fonts())
    assert set("".join(rendered.missing_glyphs)) == set("ᚠᚢ𒀀")
    assert rendered.body.startswith(b"%PDF-")


def test_fonts_that_were_installed_since_are_found_by_the_same_bill():
    runes = bill(voice("c1", "1.00", 60, description="円"), name="円の会社")
    own_only = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[OWN_FONTS])
    assert render_bill(runes, own_only).missing_glyphs
    assert render_bill(runes, without_system_fonts()).missing_glyphs == ()

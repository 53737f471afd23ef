"""Intake of usage: called numbers in one form however they are written, and quantities that are plausible."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.audit.domain.usages import is_stored_as_received
from libs.contracts import RejectionReason, UsageReceived, UsageRejected
from libs.pricing import PricedUsage, RateBooks, RejectedUsage, parse_rate_book
from libs.pricing.intake import Intake, InvalidLimit, InvalidNumber, NumberReader, QuantityLimits, is_e164
from libs.pricing.intake.dialled import WITH_LEADING_ZERO
from services.rating.documents import earlier_answer, priced_usage, rated_document
from services.rating.domain.deciding import Earlier, Rated, Rater, decide
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits, identifiers_of
from services.rating.domain.retrying import retry
from services.rating.domain.suspense import Suspended
from tests.usages import usage_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)
ADA = "+34600000001"
BY_NUMBER = """
id: by-number
effective_from: 2020-01-01
currency: EUR
offerings:
  basic:
    usage_prices:
      - {id: mobile, description: Mobile, match: {usage_type: voice, called: "+447"}, price: {amount: 0.30, per: 60 s}}
      - {id: british, description: British, match: {usage_type: voice, called: "+44"}, price: {amount: 0.10, per: 60 s}}
      - {id: world, description: World, match: {usage_type: voice}, price: {amount: 1, per: 60 s}}
      - {id: emergency, description: Emergency, match: {usage_type: voice, called: "112"}, price: {amount: 0, per: 60 s}}
      - {id: service, description: Service, match: {usage_type: voice, called: ["*100#", "22255", "0900"]}, price: {amount: 2, per: 60 s}}
      - {id: texts, description: Texts, match: {usage_type: sms}, price: {amount: 0.05, per: 1 message}}
      - {id: data, description: Data, match: {usage_type: data}, price: {amount: 0.01, per: 1 MB}}
      - {id: odd, description: Odd, match: {usage_type: odd}, price: {amount: 0.01, per: 1 event}}
"""
BOOKS = RateBooks([parse_rate_book(BY_NUMBER, "by-number.yaml")])
PRODUCT = Product("line", "ada", "basic", "Basic", "active", datetime(2024, 1, 1, tzinfo=UTC))
HOLDINGS = Holdings({ADA: (Holding.of(PRODUCT, PRODUCT.started_at, None),)}, {"ada": Account("ada", "EUR", "Europe/Madrid")})


def used(called: str | None = None, id: str = "u-1", **fields: object) -> UsageReceived:
    body = {"id": id, "identifier": ADA, "usage_type": "voice", "started_at": "2026-03-02T10:00:00Z", "quantity": 60, "unit": "s"}
    return usage_of(**{**body, **({"called_number": called} if called is not None else {}), **fields})


def priced_as(called: str, country: str | None = None, **fields: object) -> tuple[str | None, str]:
    usage, answer = Intake(NumberReader(country)).price(BOOKS, "basic", used(called, **fields), time_zone="UTC", currency="EUR")
    return usage.called_number, answer.price_id if isinstance(answer, PricedUsage) else answer.reason.value


def rater(intake: Intake | None = None) -> Rater:
    return Rater(HOLDINGS, BOOKS, UsageLimits(timedelta(hours=1), timedelta(days=365), intake or Intake()), NOW)


@pytest.mark.parametrize(
    "called",
    [
        "+447700900123",
        "+44 7700 900123",
        "+44-7700-900-123",
        "+44.7700.900123",
        "+44 (7700) 900123",
        "+44 (0)7700 900123",
        "+4407700900123",
        "+44/7700/900123",
        "tel:+447700900123",
        "TEL:+44-7700-900123",
        " +447700900123\t",
        "+44\N{NO-BREAK SPACE}7700\N{NON-BREAKING HYPHEN}900123",
        "\N{LEFT-TO-RIGHT EMBEDDING}+44 7700 900123\N{POP DIRECTIONAL FORMATTING}",
    ],
)
def test_formatting_changes_no_price(called: str) -> None:
    assert priced_as(called) == ("+447700900123", "mobile")


@pytest.mark.parametrize(
    ("called", "country", "priced_by", "price"),
    [
        ("0044 7700 900123", "ES", "+447700900123", "mobile"),
        ("011 44 7700 900123", "US", "+447700900123", "mobile"),
        ("07700 900123", "GB", "+447700900123", "mobile"),
        ("020 7946 0958", "GB", "+442079460958", "british"),
        ("600 00 00 02", "ES", "+34600000002", "world"),
        ("34600000002", "ES", "+34600000002", "world"),
        ("06 6982 1234", "IT", "+390669821234", "world"),
        ("(212) 555-0001", "US", "+12125550001", "world"),
        # A code that the book names stays one, whatever the country makes of it.
        ("112", "DE", "112", "emergency"),
        ("22255", "DE", "22255", "service"),
        # A number of the country is one, though a code of the book is its beginning.
        ("112 345 678", "FR", "+33112345678", "world"),
        ("01 12 34 56 78", "FR", "+33112345678", "world"),
        ("2255 345 678", "CH", "2255345678", "invalid-number"),
    ],
)
def test_national_forms_are_read_by_the_country_of_the_source(called: str, country: str, priced_by: str, price: str) -> None:
    assert priced_as(called, country) == (priced_by if price != "invalid-number" else called, price)


@pytest.mark.parametrize(
    ("called", "priced_by", "price"),
    [
        ("112", "112", "emergency"),
        ("1 1 2", "112", "emergency"),
        ("tel:112", "112", "emergency"),
        ("*100#", "*100#", "service"),
        ("0900 123456", "0900123456", "service"),
        ("113", "113", "no-price"),
        ("22256", "22256", "no-price"),
        ("#31#", "#31#", "no-price"),
        ("INFO", "INFO", "invalid-number"),
        ("112a", "112a", "invalid-number"),
        ("0044 7700 900123", "0044 7700 900123", "invalid-number"),
        ("011 44 7700 900123", "011 44 7700 900123", "invalid-number"),
        ("07700 900123", "07700 900123", "invalid-number"),
        ("447700900123", "447700900123", "invalid-number"),
        ("+1 800 FLOWERS", "+1 800 FLOWERS", "invalid-number"),
        ("+44 7700 900l23", "+44 7700 900l23", "invalid-number"),
        ("+44 20 7946 0958 ext. 12", "+44 20 7946 0958 ext. 12", "invalid-number"),
        ("tel:+442079460958;ext=12", "tel:+442079460958;ext=12", "invalid-number"),
        ("+1234567890123456", "+1234567890123456", "invalid-number"),
        ("+999123456", "+999123456", "invalid-number"),
        ("+0044 7700 900123", "+0044 7700 900123", "invalid-number"),
        ("+44", "+44", "invalid-number"),
        ("+", "+", "invalid-number"),
        ("++447700900123", "++447700900123", "invalid-number"),
        ("+\u0664\u06647700900123", "+\u0664\u06647700900123", "invalid-number"),
        ("+\uff14\uff147700900123", "+\uff14\uff147700900123", "invalid-number"),
        ("()", "()", "invalid-number"),
    ],
)
def test_without_a_country_only_e_164_and_what_the_book_names_has_a_price(called: str, priced_by: str, price: str) -> None:
    assert priced_as(called) == (priced_by, price)


@pytest.mark.parametrize("called", ["112", "22255", "INFO", "My Bank", "internet.example.com", "+447700900123", None])
def test_where_no_price_looks_at_called_numbers_codes_and_names_have_that_price(called: str | None) -> None:
    intake = Intake()
    usage, answer = intake.price(BOOKS, "basic", used(called, usage_type="sms", unit="message"), time_zone="UTC", currency="EUR")
    assert isinstance(answer, PricedUsage)
    assert (usage.called_number, answer.price_id) == (called, "texts")


@pytest.mark.parametrize("called", ["0044 7700 900123", "600000002", "+44 77OO 900123", "+999 123456"])
def test_a_number_that_cannot_be_read_waits_whatever_the_price(called: str) -> None:
    assert priced_as(called, usage_type="sms", unit="message") == (called, "invalid-number")


COUNTRY_CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@given(st.sampled_from(COUNTRY_CODES), st.from_regex(r"[1-9][0-9]{3,11}", fullmatch=True), st.data())
def test_a_number_is_the_same_wherever_formatting_is_put_into_it(code: int, rest: str, data: st.DataObject) -> None:
    number = f"+{code}{rest}"[:16]
    assert is_e164(number)
    marks = data.draw(st.lists(st.sampled_from(["", " ", "-", ".", "/", "\u00a0", "\u2013"]), min_size=len(number), max_size=len(number)))
    written = number[0] + "".join(mark + digit for mark, digit in zip(marks, number[1:], strict=False))
    assert NumberReader().read(written).text == number


@given(st.text(max_size=64))
def test_whatever_is_read_is_in_e_164_or_no_number(text: str) -> None:
    try:
        dialled = NumberReader("ES").read(text)
    except InvalidNumber:
        return
    assert dialled.number is None or is_e164(dialled.number)
    assert is_e164(dialled.text) == dialled.text.startswith("+")


def test_all_plans_whose_numbers_begin_with_0_are_known() -> None:
    def begins_with_0(code: int, region: str) -> bool:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.FIXED_LINE)
        mobile = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        return any(phonenumbers.national_significant_number(each).startswith("0") for each in (example, mobile) if each is not None)

    found = {code for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items() if begins_with_0(code, regions[0])}
    assert found <= set(WITH_LEADING_ZERO)


def test_a_country_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="not a country"):
        NumberReader("ZZ")


def test_a_usage_keeps_its_numbers_as_they_came_beside_those_it_was_priced_by() -> None:
    received = used("+44 (0)7700 900123", identifier="+34 600 000 001")
    assert identifiers_of([received], NumberReader()) == {"+34 600 000 001", ADA}
    (rated,) = decide([received], {}, rater()).rated
    stored = rated_document(rated)
    assert (stored["identifier"], stored["called_number"]) == (ADA, "+447700900123")
    assert stored["received"] == {"identifier": "+34 600 000 001", "called_number": "+44 (0)7700 900123"}
    assert priced_usage(stored) == used("+447700900123")
    assert is_stored_as_received(received, stored)
    assert not is_stored_as_received(used("+447700900123"), stored)


def test_the_same_id_and_body_get_the_same_answer_and_another_form_is_another_body() -> None:
    received = used("+44 7700 900123")
    first = decide([received], {}, rater())
    known = earlier_answer(rated_document(first.rated[0]))
    assert known == Earlier(received, first.answers[0])
    again = decide([received, used("+447700900123")], {"u-1": known}, rater())
    assert again.answers[0] == first.answers[0]
    assert isinstance(again.answers[1], UsageRejected)
    assert again.answers[1].reason is RejectionReason.DUPLICATE_ID


def test_an_identifier_that_a_product_holds_as_it_is_stays() -> None:
    held = Holdings({"0034 600": HOLDINGS.by_identifier[ADA]}, HOLDINGS.accounts)
    outcome = Rater(held, BOOKS, UsageLimits(timedelta(hours=1), timedelta(days=365)), NOW).rate(used("112", identifier="0034 600"))
    assert isinstance(outcome, Rated)


DAY = 86_400
BY_TYPE: Mapping[str, str] = {"voice": "6 h", "odd": "5 event"}


@pytest.mark.parametrize(
    ("limits", "usage_type", "unit", "quantity", "is_plausible"),
    [
        (QuantityLimits(), "voice", "s", 3 * DAY, True),
        (QuantityLimits(), "voice", "s", 3 * DAY + 1, False),
        (QuantityLimits(), "voice", "s", 10**18, False),
        (QuantityLimits(), "data", "byte", 10**13, True),
        (QuantityLimits(), "data", "byte", 10**13 + 1, False),
        (QuantityLimits(), "sms", "message", 100_000, True),
        (QuantityLimits(), "sms", "message", 100_001, False),
        (QuantityLimits(), "never heard of", "s", 5 * DAY, False),
        (QuantityLimits(), "never heard of", "parsec", 10**9 + 1, False),
        (QuantityLimits(BY_TYPE), "voice", "s", 6 * 3_600, True),
        (QuantityLimits(BY_TYPE), "voice", "s", 6 * 3_600 + 1, False),
        (QuantityLimits(BY_TYPE), "video", "s", 2 * DAY, True),
        (QuantityLimits(BY_TYPE), "odd", "event", 6, False),
        (QuantityLimits(by_unit=["1 h"]), "video", "s", 3_601, False),
        (QuantityLimits(by_unit=["1 h"]), "data", "byte", 10**13, True),
    ],
)
def test_a_quantity_beyond_its_limit_is_implausible(
    limits: QuantityLimits, usage_type: str, unit: str, quantity: int, is_plausible: bool
) -> None:
    assert (limits.exceeded(used(usage_type=usage_type, unit=unit, quantity=quantity)) is None) == is_plausible


@pytest.mark.parametrize("text", ["6", "six h", "6 parsec", "-1 h", "0 h", ""])
def test_a_limit_that_cannot_be_read_says_so(text: str) -> None:
    with pytest.raises(InvalidLimit, match="limit"):
        QuantityLimits({"voice": text})


def test_an_operator_releases_a_usage_from_the_limits_and_nothing_else() -> None:
    long_call = used("+447700900123", quantity=5 * DAY)
    refused = rater().rate(long_call)
    assert isinstance(refused, UsageRejected)
    assert refused.reason is RejectionReason.BEYOND_LIMITS
    entry = Suspended(refused.suspense_id, refused.reason, refused.detail, long_call)
    earlier = {"u-1": Earlier(long_call, refused)}
    assert not retry([entry], earlier, rater()).rated
    released = retry([entry], earlier, rater(), is_released=True)
    assert released.rated[entry.id].priced.charged_quantity == 5 * DAY
    absurd = rater().rate(used("+447700900123", quantity=Decimal(10) ** 18 * 2), is_released=True)
    assert isinstance(absurd, UsageRejected)
    assert absurd.reason is RejectionReason.ABSURD_QUANTITY


@pytest.mark.parametrize(
    ("quantity", "reason"),
    [("-1", "negative-quantity"), ("2e18", "absurd-quantity"), ("60.0000000001", "absurd-quantity"), ("60.000000001", None)],
)
def test_quantities_that_no_price_can_mend_are_refused(quantity: str, reason: str | None) -> None:
    fault = Intake().quantity_fault(used(quantity=Decimal(quantity)))
    assert (fault.reason.value if isinstance(fault, RejectedUsage) else None) == reason


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12) | st.integers(-(10**19), 10**19).map(Decimal))
def test_a_refusal_shows_the_quantity_as_it_was_given(quantity: Decimal) -> None:
    fault = Intake().quantity_fault(used(quantity=quantity))
    assert fault is None or str(quantity) in fault.detail.split()


def test_a_rated_usage_names_what_it_received_only_where_that_differs() -> None:
    (rated,) = decide([used("+447700900123")], {}, rater()).rated
    assert rated.received is None
    assert "received" not in rated_document(rated)

"""Recurring prices of a rate book."""

from dataclasses import replace
from enum import StrEnum

from libs.pricing.book_terms import BookTerms
from libs.pricing.calendar_length import MONTHS_PER_YEAR, CalendarLength, parse_length
from libs.pricing.exact_number import ExactNumber, parse_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.reader import Reader
from libs.pricing.recurring_price import ACTIVATION, CALENDAR, Anchor, Charged, Prorating, Proration, RecurringPrice
from libs.pricing.yaml_source import Mapping, Node

OPTIONAL = ("charged", "anchor", "proration", "while_suspended", "after", "for_first", "tax_category")
MONTH = CalendarLength(1, "month")
# Days of a month; a 31st falls on the last day of shorter ones.
DAY_OF_MONTH_MAX = 31
# Whole days and weeks have their place in any calendar; so have months that divide a year.
DAYS_IN_THE_CALENDAR = (1, 7)
ANCHORS = {"calendar": CALENDAR, "activation": ACTIVATION}
SUSPENDED = {"charged": ExactNumber(100), "free": ExactNumber(0)}
PERCENT_MAX = 100
# What a charge keeps of an exact amount, and how many digits a part of a period adds: days of ten years, or milliseconds.
CHARGE_DIGITS_MAX = 34
PART_DIGITS = 4
PART_DIGITS_BY_SECOND = 12
# And how many a percentage adds, besides its decimals: what is left of 100.
PERCENT_DIGITS = 3


def read_recurring_price(node: Node, terms: BookTerms) -> RecurringPrice:
    """A fee for each period."""
    reader = terms.reader
    fields = reader.fields(node, ("id", "description", "amount", "period"), OPTIONAL)
    price = RecurringPrice(
        price_id=terms.declare(fields.get("id")),
        description=reader.text(fields.get("description")),
        amount=reader.value(fields.get("amount"), parse_number, ExactNumber(0)).to_decimal(),
        currency=terms.currency,
        period=reader.value(fields.get("period"), parse_length, MONTH),
        tax_category=reader.identifier(fields.get("tax_category")) or None,
        rate_book=terms.rate_book,
        charged=reader.value(fields.get("charged"), _parse_charged, Charged.ARREARS),
        anchor=reader.value(fields.get("anchor"), _parse_anchor, CALENDAR),
        proration=_proration(fields.get("proration"), reader),
        suspended_percent=reader.value(fields.get("while_suspended"), _parse_suspended, SUSPENDED["charged"]).to_decimal(),
        after=reader.value(fields.get("after"), parse_length, None),
        for_first=reader.value(fields.get("for_first"), parse_length, None),
        line_rounding=terms.rounding.line,
        is_tax_included=terms.is_tax_included,
    )
    _check_anchor(price, fields, reader)
    _check_fixed_30(price, fields, reader)
    _check_time(price, fields, reader)
    _check_digits(price, fields, reader)
    return price


def _proration(node: Node | None, reader: Reader) -> Proration:
    if not isinstance(node, Mapping):
        one = reader.value(node, _parse_prorating, Prorating.BY_DAY)
        return Proration(one, one, one)
    fields = reader.fields(node, (), ("start", "end", "change"))
    return replace(Proration(), **{name: reader.value(value, _parse_prorating, Prorating.BY_DAY) for name, value in fields.items()})


def _check_anchor(price: RecurringPrice, fields: dict[str, Node], reader: Reader) -> None:
    period = price.period
    if price.anchor.day is not None and period.days:
        reader.refuse(
            fields["anchor"], f"a day of the month cannot anchor `period: {period}`", "use a period of months, or `anchor: activation`"
        )
    elif not price.anchor.at_activation and (period.days not in DAYS_IN_THE_CALENDAR if period.days else MONTHS_PER_YEAR % period.months):
        reader.refuse(fields["period"], f"`period: {period}` has no place of its own in the calendar", "add `anchor: activation`")


def _check_fixed_30(price: RecurringPrice, fields: dict[str, Node], reader: Reader) -> None:
    choices = (price.proration.start, price.proration.end, price.proration.change)
    if price.period.days and Prorating.FIXED_30 in choices:
        reader.refuse(fields["proration"], f"fixed_30 counts months, and `period: {price.period}` has none", "use by_day")


def _check_time(price: RecurringPrice, fields: dict[str, Node], reader: Reader) -> None:
    after, until = price.after, price.for_first
    if after is None or until is None:
        return
    if bool(after.days) != bool(until.days):
        reader.refuse(
            fields["for_first"], f"`for_first: {until}` cannot be compared with `after: {after}`", "count both in days or both in months"
        )
    elif (until.days, until.months) <= (after.days, after.months):
        reader.refuse(
            fields["for_first"], f"`for_first: {until}` is no longer than `after: {after}`", "let the price end later than it begins"
        )


def _check_digits(price: RecurringPrice, fields: dict[str, Node], reader: Reader) -> None:
    choices = (price.proration.start, price.proration.end, price.proration.change)
    part = PART_DIGITS_BY_SECOND if Prorating.BY_SECOND in choices else PART_DIGITS
    percent = PERCENT_DIGITS - int(price.suspended_percent.as_tuple().exponent) if price.suspended_percent % PERCENT_MAX else 0
    if len(price.amount.as_tuple().digits) + part + percent > CHARGE_DIGITS_MAX:
        reader.refuse(fields["amount"], "amount, proration and percentage have too many digits together", "use fewer decimals")


def _parse_charged(text: str) -> Charged:
    return Charged(_one_of(text, Charged, "way to charge"))


def _parse_prorating(text: str) -> Prorating:
    return Prorating(_one_of(text, Prorating, "proration"))


def _one_of(text: str, words: type[StrEnum], what: str) -> str:
    known = [word.value for word in words]
    if text not in known:
        raise Unreadable(f"unknown {what} {text[:80]!r}", suggest(text, known, f"use {', '.join(known)}"))
    return text


def _parse_anchor(text: str) -> Anchor:
    if text in ANCHORS:
        return ANCHORS[text]
    if text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= DAY_OF_MONTH_MAX:
        return Anchor(day=int(text))
    raise Unreadable(f"{text[:80]!r} is no anchor of a period", f"use {', '.join(ANCHORS)} or a day of the month from 1 to 31")


def _parse_suspended(text: str) -> ExactNumber:
    if text in SUSPENDED:
        return SUSPENDED[text]
    number = text.removesuffix("%").rstrip()
    if number == text:
        raise Unreadable(f"{text[:80]!r} does not say what is due while suspended", "use charged, free or a percentage such as 50%")
    percent = parse_number(number)
    if percent.to_decimal() > PERCENT_MAX:
        raise Unreadable(f"{text[:80]!r} is more than the fee", "use at most 100%")
    return percent

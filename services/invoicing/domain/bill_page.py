"""What a bill says on paper: every word, date, quantity and amount, formatted, for a template that only lays it out.

Numbers, dates and currency signs follow the bill's locale; days are those of the account's time zone.
"""

import copy
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

from libs.contracts import AppliedTax, BillIssued, BillLine, ChargeKind, PostalAddress
from libs.money import minor_unit_decimals, sum_exactly
from libs.periods import Period, time_zone

# A word without a blank is broken here, or a long name would run off the page.
WORD_CHARS_MAX = 24
TEXT_CHARS_MAX = 300
ZERO_WIDTH_SPACE = "\u200b"
NO_BREAK_SPACE = "\u00a0"
_JOINERS = "\u200c\u200d"
_LOGICAL_BREAKS = frozenset({"Cc", "Zl", "Zp"})
_UNPRINTABLE = frozenset({"Cf", "Cs", "Co", "Cn"})
_DIGITS_MAX = 64

_USAGE_TYPES = {"voice": "Calls", "sms": "Messages", "data": "Data"}
_KINDS = {
    ChargeKind.RECURRING: "Recurring fees",
    ChargeKind.ONE_TIME: "One-time charges",
    ChargeKind.USAGE: "Usage",
    ChargeKind.ADJUSTMENT: "Corrections",
    ChargeKind.DISCOUNT: "Discounts",
    ChargeKind.CAP: "Spending cap",
    ChargeKind.COMMITMENT: "Minimum commitment",
}
_BYTE_STEPS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def bill_page(bill: BillIssued) -> dict[str, Any]:
    """The page as JSON-ready text, in the order in which the template shows it."""
    words = _Words(bill)
    issuer = bill.issuer
    return {
        "title": f"Bill {bill.bill_no}",
        "language": words.locale.language,
        "bill-no": bill.bill_no,
        "labels": {
            "bill": "Bill",
            "customer": "Bill to",
            "summary": "Summary",
            "details": "Charges by product",
            "tax": "Tax",
        },
        "issuer": {
            "name": printable(issuer.name) if issuer else "",
            "lines": _present(
                [*_address(issuer.address), _labelled("Tax no.", issuer.tax_number), issuer.email, issuer.phone, issuer.website]
            )
            if issuer
            else [],
        },
        "customer": {"name": printable(bill.account_name), "lines": _present(_address(bill.address))},
        "facts": [
            {"name": "Bill number", "value": bill.bill_no},
            {"name": "Bill date", "value": words.day(bill.bill_date)},
            {"name": "Billing period", "value": words.period(bill.period)},
            {"name": "Payment due", "value": words.day(bill.payment_due_at)},
            {"name": "Account", "value": printable(bill.account_id)},
        ],
        "due": {
            "label": "Amount due" if bill.amount_due >= 0 else "Credit in your favour",
            "date": f"Please pay by {words.day(bill.payment_due_at)}" if bill.amount_due > 0 else "Nothing to pay",
            "amount": words.money(abs(bill.amount_due)),
        },
        "summary": [{"name": name, "amount": words.money(_total(lines))} for name, lines in _by_product(bill.lines)],
        "subtotals": [
            {"name": "Total before tax", "amount": words.money(bill.tax_excluded_amount)},
            *(
                {"name": f"Tax {words.percent(item.rate)} ({_tax_name(item)})", "amount": words.money(item.amount)}
                for item in bill.tax_items
            ),
            *_after_tax(words, bill),
        ],
        "total": {
            "name": f"{'Amount due' if bill.discounts else 'Total'} in {bill.currency}",
            "amount": words.money(bill.amount_due),
        },
        "columns": ["Description", "Number", "Quantity", "Amount before tax"],
        "products": [
            {"name": name, "amount": words.money(_total(lines)), "groups": [_group(words, *group) for group in _by_usage_type(lines)]}
            for name, lines in _by_product(bill.lines)
        ],
        "tax-columns": ["Category", "Rate", "Taxable amount", "Tax"],
        "taxes": [
            {
                "name": _tax_name(item),
                "rate": words.percent(item.rate),
                "base": words.money(_taxed_by(bill, item)),
                "amount": words.money(item.amount),
            }
            for item in bill.tax_items
        ],
        "tax-total": {
            "name": "Total",
            "base": words.money(bill.tax_excluded_amount),
            "amount": words.money(sum_exactly(item.amount for item in bill.tax_items)),
        },
        "terms": printable(issuer.payment_terms) if issuer else "",
        "footer": _present(
            [
                " · ".join(_present([issuer.name, _labelled("Tax no.", issuer.tax_number), issuer.website])) if issuer else "",
                f"Dates and periods in the time zone {bill.time_zone}.",
            ]
        ),
    }


def printable(text: str) -> str:
    """Text that can be set anywhere: no control or direction characters, long words breakable, bounded."""
    kept = "".join(
        " " if unicodedata.category(char) in _LOGICAL_BREAKS else char
        for char in text
        if char in _JOINERS or unicodedata.category(char) not in _UNPRINTABLE
    )
    cut = kept if len(kept) <= TEXT_CHARS_MAX else f"{kept[:TEXT_CHARS_MAX]}…"
    return " ".join(ZERO_WIDTH_SPACE.join(_pieces(word)) for word in cut.split())


class _Words:
    """The bill's locale, currency and time zone, turning values into words."""

    def __init__(self, bill: BillIssued) -> None:
        self.locale = Locale.parse(bill.locale)
        self.bill_period = bill.period
        self._zone = time_zone(bill.time_zone)
        self._currency = bill.currency
        decimals = minor_unit_decimals(bill.currency)
        # ISO 4217 decides the decimals: CLDR prints some currencies without the minor unit that they are billed in.
        self._pattern = copy.copy(self.locale.currency_formats["standard"])
        self._pattern.frac_prec = (decimals, decimals)

    def money(self, amount: Decimal) -> str:
        with localcontext(Context(prec=_DIGITS_MAX)):
            amount_text = self._pattern.apply(amount, self.locale, currency=self._currency, currency_digits=False)
        return re.sub(r"(?<=[^\W\d_])(?=\d)", NO_BREAK_SPACE, amount_text)

    def percent(self, rate: Decimal) -> str:
        return format_percent(rate.scaleb(-2), locale=self.locale, decimal_quantization=False)

    def day(self, instant: datetime) -> str:
        return format_date(instant.astimezone(self._zone).date(), "long", locale=self.locale)

    def period(self, period: Period) -> str:
        """First and last day; the end of a period is the first instant after it."""
        first = period.start.astimezone(self._zone).date()
        last = (period.end - timedelta(milliseconds=1)).astimezone(self._zone).date()
        days = [format_date(day, "medium", locale=self.locale) for day in (first, last)]
        return days[0] if first == last else " – ".join(days)

    def number(self, value: Decimal | int) -> str:
        return format_decimal(value, locale=self.locale, decimal_quantization=False)

    def quantity(self, quantity: Decimal, unit: str | None) -> str:
        if unit is None or quantity == 0:
            return ""
        if unit == "s":
            minutes, seconds = divmod(quantity, 60)
            return f"{self.number(int(minutes))} min {self.number(seconds)} s" if seconds else f"{self.number(int(minutes))} min"
        if unit == "byte":
            for size, name in _BYTE_STEPS:
                if abs(quantity) >= size:
                    return f"{format_decimal(quantity / size, format='#,##0.##', locale=self.locale)} {name}"
            return f"{self.number(quantity)} bytes"
        return f"{self.number(quantity)} {unit}" if quantity == 1 else f"{self.number(quantity)} {unit}s"


def _group(words: _Words, name: str, lines: Sequence[BillLine]) -> dict[str, Any]:
    """A usage type with its lines, and their sums where there are several."""
    if len(lines) == 1:
        return {"name": name, "count": "", "quantity": "", "amount": "", "lines": [_line(words, lines[0])]}
    units = {line.unit for line in lines}
    count = sum(line.usage_count for line in lines)
    return {
        "name": name,
        "count": words.number(count) if count else "",
        "quantity": words.quantity(sum_exactly(line.quantity for line in lines), units.pop()) if len(units) == 1 else "",
        "amount": words.money(_total(lines)),
        "lines": [_line(words, line) for line in lines],
    }


def _line(words: _Words, line: BillLine) -> dict[str, Any]:
    return {
        "description": printable(line.description),
        "period": words.period(line.period) if line.period != words.bill_period else "",
        "count": words.number(line.usage_count) if line.usage_count else "",
        "quantity": words.quantity(line.quantity, line.unit),
        "amount": words.money(line.amount),
    }


def _by_product(lines: Iterable[BillLine]) -> list[tuple[str, list[BillLine]]]:
    grouped: dict[str, list[BillLine]] = {}
    for line in lines:
        grouped.setdefault(line.product_id, []).append(line)
    return [(printable(of_product[0].product_name), of_product) for of_product in grouped.values()]


def _by_usage_type(lines: Iterable[BillLine]) -> list[tuple[str, list[BillLine]]]:
    grouped: dict[str, list[BillLine]] = {}
    for line in lines:
        name = _KINDS[line.kind] if line.kind is not ChargeKind.USAGE or line.usage_type is None else line.usage_type
        grouped.setdefault(name, []).append(line)
    return [(printable(_USAGE_TYPES.get(name, name.capitalize())), of_type) for name, of_type in grouped.items()]


def _after_tax(words: _Words, bill: BillIssued) -> list[dict[str, Any]]:
    """What leads from the total with tax to the amount due, where that is another."""
    if not bill.discounts:
        return []
    several = len({line.product_id for line in bill.lines}) > 1
    names = [f"{discount.description} ({discount.product_name})" if several else discount.description for discount in bill.discounts]
    return [
        {"name": "Total including tax", "amount": words.money(bill.tax_included_amount)},
        *({"name": printable(name), "amount": words.money(discount.amount)} for name, discount in zip(names, bill.discounts, strict=True)),
    ]


def _tax_name(item: AppliedTax) -> str:
    return printable(f"{item.category}, also on {' and '.join(item.on)}" if item.on else item.category)


def _taxed_by(bill: BillIssued, item: AppliedTax) -> Decimal:
    """The amounts that the tax is on: of its lines, and of the other taxes there that are taxed as well."""
    taxed = [
        line for line in bill.lines if any((tax.category, tax.rate, tax.on) == (item.category, item.rate, item.on) for tax in line.taxes)
    ]
    return sum_exactly([_total(taxed), *(tax.amount for line in taxed for tax in line.taxes if tax.category in item.on)])


def _address(address: PostalAddress) -> list[str]:
    return [address.street, f"{address.post_code} {address.city}", address.state_or_province, address.country]


def _labelled(label: str, value: str) -> str:
    return f"{label} {value}" if value else ""


def _present(texts: Iterable[str]) -> list[str]:
    return [text for text in map(printable, texts) if text]


def _pieces(word: str) -> list[str]:
    return [word[start : start + WORD_CHARS_MAX] for start in range(0, len(word), WORD_CHARS_MAX)]


def _total(lines: Iterable[BillLine]) -> Decimal:
    return sum_exactly(line.amount for line in lines)

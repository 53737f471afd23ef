"""Remedies for numbers, currencies, units, dates and lengths that cannot be read."""

import re
from collections.abc import Callable, Iterable
from datetime import date

from libs.money import UnknownCurrency, minor_unit_decimals

# Ways to say that there is no limit; `no` and its like are what YAML takes for true and false.
ENDLESS = ("unlimited", "infinite", "infinity", "inf", ".inf", "∞", "none", "no limit", "endless", "null", "~")
BOOLEANS = ("yes", "no", "true", "false", "on", "off", "y", "n")
SYMBOLS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "zł": "PLN", "kr": "SEK"}
UNIT_WORDS = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("b", "bytes", "octet", "octets"), "byte"),
    **dict.fromkeys(("kilobyte", "kilobytes"), "kB"),
    **dict.fromkeys(("megabyte", "megabytes", "mega"), "MB"),
    **dict.fromkeys(("gigabyte", "gigabytes", "giga"), "GB"),
    **dict.fromkeys(("terabyte", "terabytes"), "TB"),
    **dict.fromkeys(("sms", "mms", "messages", "text", "texts"), "message"),
    **dict.fromkeys(("events", "call", "calls", "transaction", "transactions", "unit", "units"), "event"),
}
DAYS_OF = {"day": 1, "week": 7, "month": 30, "year": 365}

_COMMA = re.compile(r"(\d+),(\d+)", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:([,.'_ \u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?", re.ASCII)
_LEADING_POINT = re.compile(r"[.,](\d+)", re.ASCII)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)
_TRAILING_POINT = re.compile(r"(\d+)[.,]", re.ASCII)
_WITH_CURRENCY = re.compile(r"\s*([A-Za-z]{3}|[€$£¥₹]|zł|kr)?\s*(\d[\d.,]*)\s*([A-Za-z]{3}|[€$£¥₹]|zł|kr)?\s*", re.ASCII)
_PERCENT = re.compile(r"(\d+(?:[.,]\d+)?)\s*%", re.ASCII)
_LOCAL_DATE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})", re.ASCII)
_BIG_ENDIAN_DATE = re.compile(r"(\d{4})[./]?(\d{1,2})[./]?(\d{1,2})", re.ASCII)
_SPAN = re.compile(r"P?(\d+)\s*([a-zA-Z]+?)s?", re.ASCII)


def number_remedy(text: str) -> str | None:
    """Return what to write for a number that cannot be read; None where nothing better is known than its form."""
    word = text.strip().lower()
    if word in ENDLESS:
        return "leave the key out where there is no limit, or write an amount that nobody reaches, as in 1000000"
    if word in BOOLEANS:
        return "write a number; where something is free, 0"
    percentage = _PERCENT.fullmatch(text.strip())
    if percentage:
        return f"write {percentage[1].replace(',', '.')}, without the percent sign"
    return _plain_number_remedy(text) or _currency_amount_remedy(text)


def _plain_number_remedy(text: str) -> str | None:
    grouped = _GROUPED.fullmatch(text)
    comma = _COMMA.fullmatch(text)
    if comma and grouped:
        return f"write {comma[1]}{comma[2]} without a separator of thousands, or {comma[1]}.{comma[2]} with a decimal point"
    if comma:
        return f"write {comma[1]}.{comma[2]}, with a decimal point"
    if grouped:
        return f"write {_ungrouped(text, grouped[1])}, without separators of thousands"
    for pattern, form in ((_LEADING_POINT, "0.{}"), (_TRAILING_POINT, "{}")):
        found = pattern.fullmatch(text)
        if found:
            return f"write {form.format(found[1])}"
    return None


def _ungrouped(text: str, separator: str) -> str:
    return text.replace(separator, "").replace(",", ".")


def _currency_amount_remedy(text: str) -> str | None:
    found = _WITH_CURRENCY.fullmatch(text)
    if found is None or not (found[1] or found[3]) or not _is_currency(found[1] or found[3]):
        return None
    amount = f"write {found[2]}" if _NUMBER.fullmatch(found[2]) else _plain_number_remedy(found[2])
    return amount and f"{amount}: amounts are in the currency of the book, which stands in `currency:` alone"


def _is_currency(text: str) -> bool:
    return text in SYMBOLS or currency_remedy(text) is not None or _is_code(text)


def currency_remedy(text: str) -> str | None:
    """Return the code of a currency that is written otherwise: in small letters, or as a symbol."""
    code = SYMBOLS.get(text.strip(), text.strip().upper())
    return f"write {code}" if code != text and _is_code(code) else None


def _is_code(text: str) -> bool:
    try:
        minor_unit_decimals(text)
    except UnknownCurrency:
        return False
    return True


def unit_remedy(text: str, known: Iterable[str]) -> str | None:
    """Return the unit that a word means: the same in other letters, or a name of it."""
    alike = [unit for unit in known if unit.lower() == text.lower()]
    unit = alike[0] if alike else UNIT_WORDS.get(text.lower())
    return f"write {unit}" if unit is not None and unit != text else None


def date_remedy(text: str, form: Callable[[str], str] = str) -> str | None:
    """Return the day that a date in another style means, or how to say it where day and month could be exchanged."""
    local = _LOCAL_DATE.fullmatch(text.strip())
    if local:
        first, second, year = map(int, local.groups())
        readings = {_iso(year, month, day) for month, day in ((second, first), (first, second))} - {None}
        if len(readings) == 1:
            return f"write {form(str(readings.pop()))}"
        return (
            f"write year, month and day: {' or '.join(form(str(reading)) for reading in sorted(filter(None, readings)))}"
            if readings
            else None
        )
    big_endian = _BIG_ENDIAN_DATE.fullmatch(text.strip())
    iso = _iso(*map(int, big_endian.groups())) if big_endian else None
    return f"write {form(iso)}" if iso else None


def _iso(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def length_remedy(text: str, unit: str, most: int) -> str | None:
    """Return how to say a length of time in days or months, at most `most` of them; None where nothing is to be made of it."""
    if text.strip().lower() in ENDLESS:
        return f"leave the key out, or write up to {most} {unit}s"
    span = _SPAN.fullmatch(text.strip())
    of = next((name for name in DAYS_OF if span is not None and name.startswith(span[2].lower())), None)
    if span is None or of is None or int(span[1]) == 0:
        return None
    count = int(span[1]) * DAYS_OF[of] // DAYS_OF[unit]
    if count > most:
        return f"it is too long: write at most {most} {unit}s, or leave the key out where there is no end"
    return f"write {count} {unit}{'' if count == 1 else 's'}" if count else None

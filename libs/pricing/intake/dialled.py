"""Numbers as networks write them, read into one form: E.164 (`+34600000000`), a dialled code (`112`, `*100#`) or a name (`INFO`).

Formatting (blanks, dashes, dots, slashes, brackets, `tel:`) is removed. National numbers and numbers with an international prefix
(`00…`, `011…`) are read by the dialling rules of one country, the source's. Without a country they stay dialled codes.
"""

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import phonenumbers

# A country code and a short code behind it, as in +34112. ITU-T E.164 ends at 15 digits.
DIGITS_MIN = 4
DIGITS_MAX = 15
# From so many digits on, digits without a plus are a number and no short code.
NUMBER_DIGITS_MIN = 7
READINGS_REMEMBERED_MAX = 20_000
SHOWN_MAX = 64
# Country codes whose national numbers may begin with 0. Behind any other, a 0 is a trunk prefix that does not belong there.
WITH_LEADING_ZERO = (39, 225, 226, 227, 229, 241, 242, 247, 378, 800)

# Blanks, dashes of all kinds, dots, slashes, brackets, and the invisible marks that come with copied text.
_FORMATTING = re.compile("[\\s\\-./()\u00ad\u200b-\u200f\u2010-\u2015\u202a-\u202e\u2060\u2066-\u2069\u2212\ufeff]+")
_SCHEME = "tel:"
_CODE = re.compile(r"[0-9*#]+")
_DIGITS = re.compile(r"[0-9]+")


_COUNTRY_CODES = frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


def _beginnings() -> Iterator[str]:
    """Every plus with the first digits that a number may have: a country code and a digit of the number behind it."""
    for digits in map(str, range(10 ** (DIGITS_MIN - 1), 10**DIGITS_MIN)):
        length = next((length for length in (1, 2, 3) if digits[:length] in _COUNTRY_CODES), None)
        if length is not None and (digits[length] != "0" or int(digits[:length]) in WITH_LEADING_ZERO):
            yield f"+{digits}"


BEGINNINGS = frozenset(_beginnings())
_BEGINNING_LENGTH = DIGITS_MIN + 1


class InvalidNumber(ValueError):
    """A text that is no number, no dialled code and no name; the message says why."""


class DialledKind(Enum):
    """How a called number is to be taken."""

    NUMBER = "number"
    CODE = "code"
    NAME = "name"


class Dialled(NamedTuple):
    """A called number in one form. `number` of a code is the E.164 number that the source's country makes of it, if any."""

    kind: DialledKind
    text: str
    number: str | None = None

    @property
    def is_like_a_number(self) -> bool:
        """Whether these are digits that only a national or international number has."""
        return self.kind is DialledKind.CODE and _DIGITS.fullmatch(self.text) is not None and len(self.text) >= NUMBER_DIGITS_MIN


def is_e164(text: str) -> bool:
    """Return whether a text is a number in E.164 with a known country code: a plus, 4 to 15 digits, no formatting."""
    # Once for each usage: a set knows a beginning four times as fast as a regular expression.
    return text[:_BEGINNING_LENGTH] in BEGINNINGS and len(text) <= DIGITS_MAX + 1 and text[1:].isdigit() and text.isascii()


class NumberReader:
    """Reads numbers of a source. `country` (ISO 3166, two letters) says how its national numbers are dialled; None: not at all."""

    def __init__(self, country: str | None = None) -> None:
        if country is not None and country not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"{country!r} is not a country: write two capital letters of ISO 3166, such as ES")
        self.country = country
        self._read = lru_cache(READINGS_REMEMBERED_MAX)(self._read_anew)

    def read(self, text: str) -> Dialled:
        """Return the number, code or name. Raises InvalidNumber."""
        return Dialled(DialledKind.NUMBER, text) if is_e164(text) else self._read(text)

    def identifier(self, text: str) -> str:
        """Return a service identifier in E.164 where it is a number, and as it is where it is not."""
        if is_e164(text):
            return text
        try:
            dialled = self._read(text)
        except InvalidNumber:
            return text
        return dialled.text if dialled.kind is DialledKind.NUMBER else dialled.number or text

    def _read_anew(self, text: str) -> Dialled:
        given = text.strip()
        has_scheme = given[: len(_SCHEME)].lower() == _SCHEME
        given = given[len(_SCHEME) :] if has_scheme else given
        plain = _FORMATTING.sub("", given)
        if plain.startswith("+"):
            return Dialled(DialledKind.NUMBER, _international(given, plain))
        if _CODE.fullmatch(plain):
            return Dialled(DialledKind.CODE, plain, self._national(given, plain))
        if has_scheme or not any(map(str.isalpha, plain)) or any(map(_is_foreign_digit, plain)):
            raise InvalidNumber(f"{text[:SHOWN_MAX]!r} is not a number: write it in E.164, as in +34600000000")
        return Dialled(DialledKind.NAME, given)

    def _national(self, given: str, plain: str) -> str | None:
        if self.country is None or not _DIGITS.fullmatch(plain):
            return None
        try:
            number = phonenumbers.parse(given, self.country)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_possible_number(number):
            return None
        found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        return found if is_e164(found) else None


def subscriber_number(text: str) -> str:
    """Return a subscriber's number in E.164, formatting removed. Raises InvalidNumber.

    Numbers of machines may be longer than the numbers of people that a national plan lists; E.164's 15 digits are the limit.
    """
    dialled = _PLUS_ONLY.read(text)
    if dialled.kind is not DialledKind.NUMBER or _is_too_short(dialled.text):
        raise InvalidNumber(f"{text[:SHOWN_MAX]!r} is not a subscriber's number in E.164, such as +34600000000")
    return dialled.text


def _is_too_short(number: str) -> bool:
    reason = phonenumbers.is_possible_number_with_reason(phonenumbers.parse(number))
    return reason in (phonenumbers.ValidationResult.TOO_SHORT, phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY)


_PLUS_ONLY = NumberReader()


def _international(given: str, plain: str) -> str:
    """The number of a text that begins with a plus. Raises InvalidNumber."""
    shown, digits = repr(given[:SHOWN_MAX]), plain[1:]
    if not _DIGITS.fullmatch(digits):
        raise InvalidNumber(f"{shown} has more behind its plus than digits: send the number in E.164, without letters or extension")
    if not any(digits[:length] in _COUNTRY_CODES for length in (1, 2, 3)):
        raise InvalidNumber(f"{shown} begins with a country code that does not exist")
    if "(0)" not in given and is_e164(plain):
        return plain
    if len(digits) > DIGITS_MAX + given.count("(0)"):
        raise InvalidNumber(f"{shown} has {len(digits)} digits, and numbers in E.164 have at most {DIGITS_MAX}")
    number = _without_trunk_prefix(given)
    if not is_e164(number):
        raise InvalidNumber(f"{shown} is not a number in E.164: too short, or with a 0 behind its country code that does not belong there")
    return number


def _without_trunk_prefix(given: str) -> str:
    """The number of `+44 (0)20 …`: in most countries the 0 is dialled within the country only."""
    try:
        number = phonenumbers.parse(given)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_foreign_digit(character: str) -> bool:
    return character.isdigit() and not character.isascii()

"""The price of a usage by its called number in one form, and the faults that no price can mend."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from libs.contracts import QUANTITY_MAX, RejectionReason, UsageReceived
from libs.pricing.compiled_price import PricedUsage
from libs.pricing.intake.dialled import Dialled, DialledKind, InvalidNumber, NumberReader, is_e164
from libs.pricing.intake.plausibility import QuantityLimits
from libs.pricing.rate_books import RateBooks
from libs.pricing.refusal import RejectedUsage

# Finer than any meter; and exact arithmetic with 1e-999999999 would take all memory.
QUANTITY_DECIMALS_MAX = 9

# Sums have 34 digits (Decimal128): a million of these may be added before one is lost.
SUMMAND_MAX = 10**28

Admitted = tuple[UsageReceived, PricedUsage | RejectedUsage]


@dataclass(frozen=True, slots=True)
class Intake:
    """The intake of usage: `numbers` reads called numbers, and `limits` says which quantities are plausible."""

    numbers: NumberReader = field(default_factory=NumberReader)
    limits: QuantityLimits = field(default_factory=QuantityLimits)

    @classmethod
    def of(cls, country: str | None, by_type: Mapping[str, str], by_unit: Iterable[str]) -> "Intake":
        """Return the intake that settings describe. Raises InvalidLimit or ValueError."""
        return cls(NumberReader(country), QuantityLimits(by_type, by_unit))

    def quantity_fault(self, usage: UsageReceived, *, is_released: bool = False) -> RejectedUsage | None:
        """Return why the quantity cannot be right; None when it can. An operator may have released it from the limits."""
        quantity = usage.quantity
        if quantity < 0:
            return RejectedUsage(RejectionReason.NEGATIVE_QUANTITY, f"a quantity of {quantity} is negative")
        if quantity > QUANTITY_MAX:
            return RejectedUsage(RejectionReason.ABSURD_QUANTITY, f"a quantity of {quantity} is above {QUANTITY_MAX:.0E}")
        if quantity != int(quantity) and _has_too_many_decimals(quantity):
            detail = f"a quantity of {quantity} has more than {QUANTITY_DECIMALS_MAX} decimals"
            return RejectedUsage(RejectionReason.ABSURD_QUANTITY, detail)
        if is_released:
            return None
        exceeded = self.limits.exceeded(usage)
        return None if exceeded is None else RejectedUsage(RejectionReason.BEYOND_LIMITS, exceeded)

    def answer(self, books: RateBooks, offering_id: str, usage: UsageReceived, *, time_zone: str, currency: str) -> Admitted:
        """Return a usage as admitted and its price, or why rating would refuse it. Raises UnknownTimeZone."""
        fault = self.quantity_fault(usage)
        return (usage, fault) if fault is not None else self.price(books, offering_id, usage, time_zone=time_zone, currency=currency)

    def price(self, books: RateBooks, offering_id: str, usage: UsageReceived, *, time_zone: str, currency: str) -> Admitted:
        """Price a usage whose quantity has no fault, and return it with the called number that it was priced by.

        Raises UnknownTimeZone.

        A dialled code is a code where a price names it exactly, else a national number if the source's country makes one of it,
        else a code where a price names its beginning. Codes and names that no price names have a price only where no price of
        that usage type looks at called numbers.
        """
        called = usage.called_number
        if not called or is_e164(called):
            return usage, _summable(books.price_usage(offering_id, usage, time_zone=time_zone, currency=currency))
        try:
            dialled = self.numbers.read(called)
        except InvalidNumber as error:
            return usage, RejectedUsage(RejectionReason.INVALID_NUMBER, f"called number {error}")
        priced_by = _priced_by(dialled, books.called_codes(offering_id, usage.usage_type, usage.started_at, currency, time_zone))
        if priced_by is None:
            return usage, _refusal(dialled, offering_id, usage)
        admitted = replace(usage, called_number=priced_by) if priced_by != called else usage
        return admitted, _summable(books.price_usage(offering_id, admitted, time_zone=time_zone, currency=currency))


def is_summable(priced: PricedUsage) -> bool:
    """Return whether charges can add the amount of a usage to others without losing a digit."""
    if priced.others:
        return sum(part.numerator for part in priced.parts) <= SUMMAND_MAX
    return priced.numerator <= SUMMAND_MAX


def _summable(answer: PricedUsage | RejectedUsage) -> PricedUsage | RejectedUsage:
    if isinstance(answer, RejectedUsage) or is_summable(answer):
        return answer
    return RejectedUsage(RejectionReason.ABSURD_QUANTITY, "its price has too many digits to be summed exactly")


def _priced_by(dialled: Dialled, codes: tuple[str, ...] | None) -> str | None:
    """The text to price by, if there is one. `codes` are those that prices name; None where no price looks at called numbers."""
    if dialled.kind is DialledKind.NUMBER or (codes is not None and dialled.text in codes):
        return dialled.text
    if dialled.number is not None:
        return dialled.number
    if codes is None:
        return None if dialled.is_like_a_number else dialled.text
    return dialled.text if dialled.kind is DialledKind.CODE and dialled.text.startswith(codes) else None


def _refusal(dialled: Dialled, offering_id: str, usage: UsageReceived) -> RejectedUsage:
    if dialled.is_like_a_number:
        return RejectedUsage(
            RejectionReason.INVALID_NUMBER,
            f"called number {dialled.text!r} is not in E.164, as in +34600000000, and USAGE_NUMBERS_COUNTRY does not say how to read it",
        )
    if dialled.kind is DialledKind.CODE:
        detail = f"no price of offering {offering_id!r} for {usage.usage_type} names the short code {dialled.text}"
        return RejectedUsage(RejectionReason.NO_PRICE, detail)
    return RejectedUsage(
        RejectionReason.INVALID_NUMBER,
        f"called number {dialled.text!r} is neither a number in E.164 nor a code or name that a price of offering {offering_id!r} names",
    )


def _has_too_many_decimals(quantity: Decimal) -> bool:
    exponent = quantity.as_tuple().exponent
    return isinstance(exponent, int) and exponent < -QUANTITY_DECIMALS_MAX

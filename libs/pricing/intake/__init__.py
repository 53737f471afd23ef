"""Intake of usage: plausible quantities, called numbers in one form, and the price by both. Rating and `tarifa price` share it.

intake = Intake(NumberReader(country=None), QuantityLimits())
fault = intake.quantity_fault(usage)                       # RejectedUsage | None
admitted, answer = intake.price(books, "mobile-basic", usage, time_zone="Europe/Madrid", currency="EUR")
# `admitted` is the usage with its called number as it was priced; answer is PricedUsage | RejectedUsage.
"""

from libs.pricing.intake.dialled import Dialled, DialledKind, InvalidNumber, NumberReader, is_e164, subscriber_number
from libs.pricing.intake.plausibility import InvalidLimit, QuantityLimits
from libs.pricing.intake.pricing import Intake, is_summable

__all__ = [
    "Dialled",
    "DialledKind",
    "Intake",
    "InvalidLimit",
    "InvalidNumber",
    "NumberReader",
    "QuantityLimits",
    "is_e164",
    "is_summable",
    "subscriber_number",
]

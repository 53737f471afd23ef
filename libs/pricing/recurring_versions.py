"""The recurring fees of one offering in all its versions: which kinds of periods there ever were, and what tells that they changed."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Self

from libs.pricing.effective_date import EffectiveFrom
from libs.pricing.recurring_price import RecurringPrice

TERMS_LENGTH = 16


@dataclass(frozen=True, slots=True)
class RecurringVersions:
    """`kinds` has one price for each id and grid of periods, the newest. `terms` is another text when the fees of any time are others."""

    kinds: tuple[RecurringPrice, ...] = ()
    terms: str = ""

    @classmethod
    def of(cls, newest_first: Iterable[tuple[EffectiveFrom, tuple[RecurringPrice, ...]]]) -> Self:
        """From the fees of each version, and since when they hold."""
        versions = list(newest_first)
        kinds = {(price.price_id, price.grid): price for _, prices in reversed(versions) for price in reversed(prices)}
        told: list[tuple[datetime | date, tuple[RecurringPrice, ...]]] = []
        for takes_effect, prices in reversed(versions):
            # A book that repeats them changes nothing.
            alike = tuple(replace(price, rate_book="") for price in prices)
            if alike != (told[-1][1] if told else ()):
                told.append((takes_effect.day or takes_effect.earliest, alike))
        terms = hashlib.sha256(repr(told).encode()).hexdigest()[:TERMS_LENGTH] if told else ""
        return cls(tuple(reversed(kinds.values())), terms)

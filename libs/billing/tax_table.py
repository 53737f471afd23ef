"""Which taxes a category bears where and when: a table by jurisdiction, category and day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from libs.billing.taxes import Tax
from libs.contracts import PostalAddress

# What is called so is for every address.
EVERYWHERE = ""


@dataclass(frozen=True, slots=True)
class DatedTax:
    """A tax and the days on which it is levied; `until` is the first day without it."""

    tax: Tax
    levied_from: date | None = None
    until: date | None = None

    def holds(self, day: date) -> bool:
        """Whether it is levied on that day."""
        return (self.levied_from is None or self.levied_from <= day) and (self.until is None or day < self.until)


@dataclass(frozen=True)
class TaxTable:
    """Taxes by jurisdiction (EVERYWHERE, a country, or country/state; in lower case) and tax category, in the order of levying.

    The narrowest jurisdiction of an address that knows the category says all of its taxes there.
    """

    by_jurisdiction: Mapping[str, Mapping[str, tuple[DatedTax, ...]]] = field(default_factory=dict)

    @classmethod
    def of_rates(cls, rates: Mapping[str, Decimal]) -> "TaxTable":
        """One percentage per category, everywhere and always."""
        return cls({EVERYWHERE: {category: (DatedTax(Tax(category, rate)),) for category, rate in rates.items()}})

    def taxes(self, category: str, address: PostalAddress, day: date) -> tuple[Tax, ...] | None:
        """What the category bears at an address on a day; None when the table does not know, which is not the same as nothing."""
        for place in _places(address):
            dated = self.by_jurisdiction.get(place, {}).get(category)
            if dated is not None:
                return _levied([each.tax for each in dated if each.holds(day)]) or None
        return None

    def categories(self, address: PostalAddress) -> list[str]:
        """The categories that the table knows at an address, for somebody who looks for the one that it does not."""
        return sorted({category for place in _places(address) for category in self.by_jurisdiction.get(place, {})})

    def all_categories(self) -> list[str]:
        """Return the categories that the table knows in any jurisdiction, sorted."""
        return sorted({category for categories in self.by_jurisdiction.values() for category in categories})


def _levied(taxes: Sequence[Tax]) -> tuple[Tax, ...]:
    """The taxes of one day. What is levied on a tax of other days stands on the price alone."""
    names = {tax.category for tax in taxes}
    return tuple(replace(tax, on=tuple(name for name in tax.on if name in names)) for tax in taxes)


def _places(address: PostalAddress) -> Iterator[str]:
    country, state = address.country.strip().lower(), address.state_or_province.strip().lower()
    if country and state:
        yield f"{country}/{state}"
    if country:
        yield country
    yield EVERYWHERE

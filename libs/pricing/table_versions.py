"""The tables of prices of all books, as usage is looked up in them: by currency, usage type and offering, the newest version first.

The offerings, of which there may be many, come last, and a version is one object: so a lookup touches little memory that others do not.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from libs.pricing.effective_date import EffectiveFrom
from libs.pricing.price_table import UsageTable
from libs.pricing.rate_book import Offering


class TableVersion(Struct, frozen=True, gc=False):
    """The table of an offering's usage type since it took effect; None where it has no such prices then. Before that, `earlier` holds.

    From `settled_at` on it is in effect for everybody, which is all that most usages ask.
    """

    settled_at: datetime
    takes_effect: EffectiveFrom
    table: UsageTable | None
    offering: Offering
    earlier: "TableVersion | None"


OfferingVersions = Mapping[str, TableVersion]
# By currency, then by usage type.
TableVersions = Mapping[str, Mapping[str, OfferingVersions]]

NO_TYPES: Mapping[str, OfferingVersions] = {}
NO_OFFERINGS: OfferingVersions = {}


def table_versions(by_currency: Mapping[str, Mapping[str, Iterable[tuple[EffectiveFrom, Offering]]]]) -> TableVersions:
    """From the versions of each offering, newest first, in each currency."""
    found: dict[str, dict[str, dict[str, TableVersion]]] = {}
    for currency, offerings in by_currency.items():
        by_type = found.setdefault(currency, {})
        for offering_id, newest_first in offerings.items():
            oldest_first = list(reversed(list(newest_first)))
            for usage_type in {usage_type for _, offering in oldest_first for usage_type in offering.tables}:
                by_offering, version = by_type.setdefault(usage_type, {}), None
                for takes_effect, offering in oldest_first:
                    table = offering.tables.get(usage_type)
                    version = by_offering[offering_id] = TableVersion(takes_effect.latest, takes_effect, table, offering, version)
    return found

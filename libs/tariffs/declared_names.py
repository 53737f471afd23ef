"""What the names in a match, or in what an allowance covers, stand for: books are compared by numbers and hours, not by names."""

from collections.abc import Mapping
from typing import Any

from libs.tariffs.book_document import BookDocument, as_list
from libs.tariffs.quantities import canonical

# Where a name stands, and what kind of name it is.
NAMED = {"zone": "zones", "zones": "zones", "roaming_zone": "roaming_zones", "time_band": "time_bands"}
CALENDARS = ("holidays", "except_holidays")


def members(document: BookDocument, kind: str, names: Any) -> list[str]:
    """All prefixes of zones, or all network codes of roaming zones."""
    return sorted({item for name in as_list(names) for item in as_list(document.named(kind, name))})


def band_parts(document: BookDocument, names: Any) -> list[Mapping[str, Any]]:
    """The parts of time bands, as written."""
    return [part for name in as_list(names) for part in as_list(document.named("time_bands", name))]


def hours(document: BookDocument, names: Any) -> Any:
    """The hours of time bands in a form to compare, apart from which days are holidays."""
    return canonical(band_parts(document, names))


def holidays(document: BookDocument, names: Any) -> list[str]:
    """The dates that the calendars of time bands have."""
    calendars = {name for part in band_parts(document, names) for key in CALENDARS for name in as_list(part.get(key))}
    return sorted({date for name in calendars for date in as_list(document.named("holidays", name))})

"""The keys of a rate book that the catalogue has characteristics for, each by the same name in camel case."""

import re

from libs.pricing.book_reader import BOOK_TERMS
from libs.pricing.offering_reader import KEYS as OFFERING_TERMS
from libs.pricing.recurring_reader import OPTIONAL as RECURRING_TERMS
from libs.pricing.usage_price_reader import MODELS
from libs.pricing.usage_price_reader import TERMS as USAGE_TERMS

LISTS = {"usage": "usage_prices", "recurring": "recurring_prices", "onetime": "one_time_prices"}
MATCH_KEYS = ("usage_type", "called", "zone", "roaming_zone", "visited_network", "roaming", "time_band", "characteristics")
USAGE_KEYS = tuple(key for key in (*MODELS, *USAGE_TERMS) if key not in ("price", "tax_category"))
RECURRING_KEYS = tuple(key for key in RECURRING_TERMS if key != "tax_category")
ONE_TIME_KEYS = ("charged_at", "event")
OFFERING_KEYS = tuple(key for key in OFFERING_TERMS if key not in LISTS.values())
# Books of the catalogue are written in the current format, whatever that is.
BOOK_KEYS = tuple(key for key in BOOK_TERMS if key not in (*OFFERING_TERMS, "format"))
# What a book declares under names.
NAMED_KEYS = ("zones", "time_bands", "holidays", "roaming_zones")
# What a price's characteristics may say, by its kind.
KNOWN_KEYS = {"usage": (*MATCH_KEYS, *USAGE_KEYS), "recurring": RECURRING_KEYS, "onetime": ONE_TIME_KEYS}


def camel(key: str) -> str:
    """The name of a key as a characteristic."""
    first, *others = key.split("_")
    return first + "".join(word.capitalize() for word in others)


def snake(name: str) -> str:
    """The key that a characteristic is named after."""
    return re.sub(r"([A-Z])", lambda letter: f"_{letter[1].lower()}", name)

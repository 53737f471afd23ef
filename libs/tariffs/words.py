"""What the terms of a rate book mean, in words: `0.10 EUR per 60 s`, `calls to national, weekend`.

A key that has no words of its own is told as it is written, so that nothing is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from libs.tariffs.book_document import as_list

# A zone may have ten thousand prefixes; nobody reads them.
LISTED_MAX = 8

USAGE_NAMES = {"voice": "calls", "sms": "messages", "data": "data"}
MODELS = ("price", "steps", "graduated", "volume", "package", "percentage")


def listed(names: list[str]) -> str:
    """`a, b and 7 more`."""
    shown = ", ".join(names[:LISTED_MAX])
    return shown if len(names) <= LISTED_MAX else f"{shown} and {len(names) - LISTED_MAX} more"


def told(terms: Any) -> str:
    """Any terms as they are written."""
    if isinstance(terms, Mapping):
        return ", ".join(f"{key.replace('_', ' ')} {told(value)}" for key, value in terms.items())
    if isinstance(terms, list):
        nested = any(isinstance(item, Mapping) for item in terms)
        return "; ".join(told(item) for item in terms) if nested else listed([told(item) for item in terms])
    return str(terms)


def match_words(match: Mapping[str, Any]) -> str:
    """Which usage a price is for."""
    usage_type = match.get("usage_type", "usage")
    words = [USAGE_NAMES.get(usage_type, usage_type)]
    if "zone" in match:
        words.append(f"to {told(match['zone'])}")
    if "called" in match:
        words.append(f"to {listed(as_list(match['called']))}")
    if "roaming_zone" in match:
        words.append(f"while roaming in {told(match['roaming_zone'])}")
    if "visited_network" in match:
        words.append(f"on network {told(match['visited_network'])}")
    if "roaming" in match:
        words.append(f"roaming {match['roaming']}")
    if "time_band" in match:
        words.append(f"at {told(match['time_band'])}")
    for name, value in match.get("characteristics", {}).items():
        words.append(f"with {name} {' or '.join(as_list(value))}")
    known = {"usage_type", "zone", "called", "roaming_zone", "visited_network", "roaming", "time_band", "characteristics"}
    words += [f"{key} {told(value)}" for key, value in match.items() if key not in known]
    return " ".join(words)


def band_words(band: Any) -> str:
    """The hours of a time band: `mon-fri 08:00-20:00`."""
    return ", or ".join(_band_part(part) for part in as_list(band)) or "always"


def price_words(terms: Mapping[str, Any], currency: str) -> str:
    """What a usage price asks by its model, without its further conditions."""
    for model in MODELS:
        if model in terms:
            return _MODEL_WORDS[model](terms[model], currency)
    return told(terms)


def condition_words(key: str, value: Any, currency: str) -> str:
    """One further condition of a price."""
    if key in ("setup_fee", "minimum", "maximum"):
        names = {"setup_fee": "set-up fee", "minimum": "at least", "maximum": "at most"}
        return f"{names[key]} {value} {currency}"
    match key:
        case "increments":
            return f"in steps of {value}"
        case "free_first":
            return f"the first {value} free"
        case "counted":
            return f"counted per {value}"
        case "crossing":
            return "split where it crosses into another price" if value == "split" else "priced by its start"
        case "rounding":
            return f"rounded: {told(value)}"
    return f"{key.replace('_', ' ')} {told(value)}"


def asked(terms: Any, currency: str) -> str:
    """`0.10 EUR per 60 s` of `{amount: 0.10, per: 60 s}`."""
    if not isinstance(terms, Mapping):
        return f"{told(terms)} {currency}"
    rest = {key: value for key, value in terms.items() if key not in ("amount", "per")}
    return f"{terms.get('amount', '0')} {currency} per {terms.get('per', 'unit')}" + (f" ({told(rest)})" if rest else "")


def _steps(steps: Any, currency: str) -> str:
    return "; ".join(
        f"from {step.get('from', '0')} {asked(step.get('price'), currency)}{_rest(step, {'from', 'price'}, currency)}"
        for step in as_list(steps)
    )


def _tiers(model: str) -> Callable[[Any, str], str]:
    def words(tiers: Any, currency: str) -> str:
        return f"{model}: " + "; ".join(_tier(tier, currency) for tier in as_list(tiers))

    return words


def _tier(tier: Mapping[str, Any], currency: str) -> str:
    reach = f"up to {tier['up_to']}" if "up_to" in tier else "beyond"
    amounts = [asked(tier["price"], currency)] if "price" in tier else []
    if "flat" in tier:
        amounts.append(f"{tier['flat']} {currency} flat")
    return f"{reach} {' plus '.join(amounts)}{_rest(tier, {'up_to', 'price', 'flat'}, currency)}"


def _package(terms: Mapping[str, Any], currency: str) -> str:
    rest = _rest(terms, {"amount", "per", "free"}, currency)
    return (
        f"{terms.get('amount')} {currency} per started {terms.get('per')}" + (f", {terms['free']} free" if "free" in terms else "") + rest
    )


def _percentage(terms: Mapping[str, Any], currency: str) -> str:
    fixed = f" plus {terms['fixed']} {currency}" if "fixed" in terms else ""
    return f"{terms.get('rate')} % of the amount{fixed}{_rest(terms, {'rate', 'fixed'}, currency)}"


def _rest(terms: Mapping[str, Any], told_already: set[str], currency: str) -> str:
    rest = [condition_words(key, value, currency) for key, value in terms.items() if key not in told_already]
    return f" {', '.join(rest)}" if rest else ""


def _band_part(part: Mapping[str, Any]) -> str:
    return " ".join(_band_words(part)) or "always"


def _band_words(part: Mapping[str, Any]) -> Iterator[str]:
    for key in ("days", "hours"):
        if key in part:
            yield listed(as_list(part[key]))
    for key, value in part.items():
        if key not in ("days", "hours"):
            yield f"{key.replace('_', ' ')} {told(value)}"


_MODEL_WORDS: dict[str, Callable[[Any, str], str]] = {
    "price": asked,
    "steps": _steps,
    "graduated": _tiers("graduated"),
    "volume": _tiers("by volume"),
    "package": _package,
    "percentage": _percentage,
}

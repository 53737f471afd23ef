"""A CGRateS tariff plan as rate books: a book for each instant at which something changes, an offering for each subject.

What a subject has no profile for comes from the profile of the subject `*any`, category by category.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.tariffs.book_text import book_text
from libs.tariffs.cgrates.coverage import NO_PREFIX, Coverage, cover
from libs.tariffs.cgrates.plan import ANY, Activation, TariffPlan
from libs.tariffs.cgrates.prices import Category, category_of, price_terms
from libs.tariffs.cgrates.tables import Remark, RemarkKind, Row
from libs.tariffs.cgrates.weeks import BandMinutes, band_terms

NAME_LENGTH_MAX = 64
# A fallback of a fallback of a fallback: CGRateS gives up as early.
FALLBACKS_MAX = 3

Chain = tuple[str, ...]


@dataclass(frozen=True)
class ImportedBook:
    """The text of a rate book; `subjects` says which offering is which subject."""

    id: str
    effective_from: datetime
    text: str
    subjects: Mapping[str, str]


def import_tariff_plan(plan: TariffPlan, currency: str) -> tuple[list[ImportedBook], list[Remark]]:
    """The books of a plan in order of time, and everything that did not come over as it stands."""
    remarks = list(plan.remarks)
    remarks.append(Remark("Rates.csv", 0, RemarkKind.ASSUMED, f"amounts say no currency: they are in {currency}"))
    tenants = sorted({tenant for tenant, _, _ in plan.profiles})
    books = [book for tenant in tenants for book in _TenantBooks(plan, tenant, len(tenants) > 1, currency, remarks).books()]
    return books, sorted(set(remarks) | set(_unused(plan)))


class _TenantBooks:
    """The books of one tenant."""

    def __init__(self, plan: TariffPlan, tenant: str, is_one_of_many: bool, currency: str, remarks: list[Remark]) -> None:
        self._plan = plan
        self._tenant = tenant
        self._prefix = f"{tenant}." if is_one_of_many else ""
        self._currency = currency
        self._remarks = remarks
        self._profiles = {key[1:]: activations for key, activations in plan.profiles.items() if key[0] == tenant}
        self._offerings = _names([f"{self._prefix}{subject.replace(ANY, 'any')}" for subject in self._subjects()], self._subjects())

    def books(self) -> Iterator[ImportedBook]:
        before: dict[str, dict[str, Chain]] = {}
        for at in sorted({activation.at for activations in self._profiles.values() for activation in activations}):
            chains = {subject: self._chains(subject, at) for subject in self._subjects()}
            changed = [subject for subject in self._subjects() if chains[subject] and chains[subject] != before.get(subject)]
            before = chains
            if changed:
                yield self._book(at, {subject: chains[subject] for subject in changed})

    def _subjects(self) -> list[str]:
        return sorted({subject for _, subject in self._profiles})

    def _chains(self, subject: str, at: datetime) -> dict[str, Chain]:
        """Per category the plans that price it, the subject's own first."""
        chains = {}
        for category in sorted({category for category, _ in self._profiles}):
            active = self._active(category, subject, at) or self._active(category, ANY, at)
            if active is not None:
                chains[category] = tuple(dict.fromkeys(self._with_fallbacks(category, active, at, FALLBACKS_MAX)))
        return chains

    def _active(self, category: str, subject: str, at: datetime) -> Activation | None:
        begun = [activation for activation in self._profiles.get((category, subject), ()) if activation.at <= at]
        return begun[-1] if begun else None

    def _with_fallbacks(self, category: str, activation: Activation, at: datetime, deeper: int) -> Iterator[str]:
        if activation.plan not in self._plan.plans:
            self._remarks.append(activation.row.remark(RemarkKind.LEFT_OUT, f"rating plan {activation.plan} is not there"))
        yield activation.plan
        for subject in activation.fallback_subjects if deeper else ():
            fallback = self._active(category, subject, at)
            if fallback is None:
                self._remarks.append(activation.row.remark(RemarkKind.LEFT_OUT, f"fallback subject {subject} has no plan then"))
            else:
                yield from self._with_fallbacks(category, fallback, at, deeper - 1)

    def _book(self, at: datetime, chains: Mapping[str, Mapping[str, Chain]]) -> ImportedBook:
        draft = _Draft(self._plan, self._remarks)
        offerings = {self._offerings[subject]: draft.offering(of_categories) for subject, of_categories in chains.items()}
        id = _name(f"{self._tenant}-{at:%Y-%m-%d}" if f"{at:%H:%M:%S}" == "00:00:00" else f"{self._tenant}-{at:%Y-%m-%dT%H%M%S}")
        terms = {
            "id": id,
            "effective_from": at.isoformat().replace("+00:00", "Z"),
            "currency": self._currency,
            # CGRateS prices each part of a call by the timing that it falls into.
            "crossing": "split",
            **({"zones": {name: list(prefixes) for name, prefixes in draft.zones.items()}} if draft.zones else {}),
            **({"holidays": draft.holidays} if draft.holidays else {}),
            **({"time_bands": draft.bands} if draft.bands else {}),
            "offerings": {name: {"usage_prices": prices} for name, prices in offerings.items() if prices},
        }
        subjects = {name: subject for subject, name in self._offerings.items() if offerings.get(name)}
        told = [f"Imported from a CGRateS tariff plan, tenant {self._tenant}."]
        told += [f"Offering {name} is subject {subject}." for name, subject in subjects.items() if name != subject]
        return ImportedBook(id, at, book_text(terms, told), subjects)


@dataclass
class _Draft:
    """The parts that the offerings of one book share while it is written."""

    plan: TariffPlan
    remarks: list[Remark]
    zones: dict[str, tuple[str, ...]] = field(default_factory=dict)
    bands: dict[str, Any] = field(default_factory=dict)
    holidays: dict[str, list[str]] = field(default_factory=dict)
    band_names: dict[BandMinutes, str] = field(default_factory=dict)

    def offering(self, chains: Mapping[str, Chain]) -> list[dict[str, Any]]:
        """The usage prices of a subject."""
        prices: list[dict[str, Any]] = []
        for name, chain in chains.items():
            coverages = cover(self.plan, chain, self.remarks)
            slots = [slot for coverage in coverages for slot in self.plan.rates[coverage.rate.rate]]
            category = category_of(name, slots)
            prices += [self._price(coverage, Category(_name(category.usage_type), category.unit)) for coverage in coverages]
        taken: Counter[str] = Counter()
        for price in prices:
            taken[price["id"]] += 1
            if taken[price["id"]] > 1:
                price["id"] = _name(price["id"], f"-{taken[price['id']]}")
        return prices

    def _price(self, coverage: Coverage, category: Category) -> dict[str, Any]:
        rate, band = coverage.rate, self._band(coverage)
        match: dict[str, Any] = {"usage_type": category.usage_type, **self._called(coverage)}
        if band:
            match["time_band"] = band
        words = [rate.destination if rate.destination != ANY else "any destination", *([band] if band else [])]
        return {
            "id": _name(rate.id, f"-{band}" if band else ""),
            "description": f"{category.usage_type}: {', '.join(words)} ({rate.rate})"[:200],
            "match": match,
            **price_terms(rate, self.plan.rates[rate.rate], category, self.remarks),
        }

    def _called(self, coverage: Coverage) -> dict[str, Any]:
        if coverage.prefixes == (NO_PREFIX,):
            return {}
        if set(coverage.prefixes) != set(self.plan.destinations[coverage.rate.destination]):
            return {"called": list(coverage.prefixes)}
        destination = coverage.rate.destination
        zone, number = _name(destination), 1
        while self.zones.get(zone, self.plan.destinations[destination]) != self.plan.destinations[destination]:
            number += 1
            zone = _name(destination, f"-{number}")
        self.zones[zone] = self.plan.destinations[destination]
        return {"zone": zone}

    def _band(self, coverage: Coverage) -> str:
        if coverage.minutes.is_always:
            return ""
        if coverage.minutes not in self.band_names:
            name, number = _name(coverage.timing.name.lower()), 1
            while (numbered := _name(name, f"-{number}" if number > 1 else "")) in self.bands:
                number += 1
            self.band_names[coverage.minutes] = numbered
            self.bands[numbered] = band_terms(coverage.minutes, self._calendar(coverage))
        return self.band_names[coverage.minutes]

    def _calendar(self, coverage: Coverage) -> str:
        """The name of the days on which a band is otherwise; empty where there are none."""
        dates = sorted(coverage.minutes.dates)
        if not dates:
            return ""
        names = [name for name, known in self.holidays.items() if known == dates]
        name = names[0] if names else f"dates-{len(self.holidays) + 1}"
        self.holidays[name] = dates
        return name


def _unused(plan: TariffPlan) -> Iterable[Remark]:
    """What nobody refers to: it comes over with nobody."""
    plans = {activation.plan for activations in plan.profiles.values() for activation in activations}
    rates = {entry.destination_rates for name in plans for entry in plan.plans.get(name, ())}
    unused: list[tuple[str, Row, str]] = []
    unused += [("rating plan", entries[0].row, name) for name, entries in plan.plans.items() if name not in plans]
    unused += [("destination rates", found[0].row, name) for name, found in plan.destination_rates.items() if name not in rates]
    used_rates = {rate.rate for name in rates for rate in plan.destination_rates.get(name, ())}
    unused += [("rate", slots[0].row, name) for name, slots in plan.rates.items() if name not in used_rates]
    return [row.remark(RemarkKind.LEFT_OUT, f"{what} {name} is used by no profile") for what, row, name in unused]


def _names(wanted: list[str], subjects: list[str]) -> dict[str, str]:
    """A name of a rate book for each subject, none of them twice."""
    names: dict[str, str] = {}
    for subject, text in zip(subjects, wanted, strict=True):
        name, number = _name(text), 1
        while name in names.values():
            number += 1
            name = _name(text, f"-{number}")
        names[subject] = name
    return names


def _name(text: str, ending: str = "") -> str:
    """A text as a name: letters, digits, points, hyphens and underscores, with room for an ending."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-") or "unnamed"
    return plain[: NAME_LENGTH_MAX - len(ending)] + ending

"""A CGRateS tariff plan as rate books: a book for each instant at which something changes, an offering for each subject.

What a subject has no profile for comes from the profile of the subject `*any`, category by category.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from libs.pricing.roaming import NO_HOME_NETWORK
from libs.tariffs.book_text import book_text
from libs.tariffs.cgrates.coverage import NO_PREFIX, Coverage, cover
from libs.tariffs.cgrates.plan import ANY, Activation, TariffPlan, plan_is_not_there
from libs.tariffs.cgrates.prices import USAGE_TYPES, Category, category_of, price_terms
from libs.tariffs.cgrates.tables import Remark, RemarkKind, Row
from libs.tariffs.cgrates.weeks import BandMinutes, band_terms

NAME_LENGTH_MAX = 64
# A fallback of a fallback of a fallback: CGRateS gives up as early.
FALLBACKS_MAX = 3
# What a row of each file is called.
ROW_WORDS = {
    "Timings.csv": "timing",
    "Destinations.csv": "destination",
    "Rates.csv": "rate",
    "DestinationRates.csv": "destination rates",
    "RatingPlans.csv": "rating plan",
    "RatingProfiles.csv": "profile of",
}

Chain = tuple[str, ...]


@dataclass(frozen=True)
class ImportedBook:
    """The text of a rate book; `subjects` says which offering is which subject."""

    id: str
    effective_from: datetime
    text: str
    subjects: Mapping[str, str]


@dataclass(frozen=True)
class ImportTerms:
    """The terms that a tariff plan does not say. `prefix` goes before the ids of books and offerings, to keep several plans apart.

    Without `home_networks` any network that a usage names is a foreign one.
    """

    currency: str
    home_networks: tuple[str, ...] = ()
    prefix: str = ""


def import_tariff_plan(plan: TariffPlan, terms: ImportTerms) -> tuple[list[ImportedBook], list[Remark]]:
    """The books of a plan in order of time, and everything that did not come over as it stands.

    A row that neither stands in a book nor has a remark of its own gets one: nothing is lost in silence.
    """
    written = _Written(plan, terms, list(plan.remarks))
    written.remarks.append(Remark("Rates.csv", 0, RemarkKind.ASSUMED, f"amounts say no currency: they are in {terms.currency}"))
    written.remarks.append(
        Remark(
            "RatingProfiles.csv",
            0,
            RemarkKind.ASSUMED,
            "prices are for usage at home: usage in foreign networks has no price, and waits in suspense",
        )
    )
    tenants = sorted({tenant for tenant, _, _ in plan.profiles})
    books = [book for tenant in tenants for book in _TenantBooks(written, tenant, len(tenants) > 1).books()]
    remarks = set(written.remarks)
    return books, sorted(remarks | set(_lost(plan, written.places, remarks)))


@dataclass
class _Written:
    """The state that all tenants share while books are written: names that are taken, and the `places` of rows that stand in a book."""

    plan: TariffPlan
    terms: ImportTerms
    remarks: list[Remark]
    places: set[tuple[str, int]] = field(default_factory=set)
    book_ids: set[str] = field(default_factory=set)
    offering_ids: set[str] = field(default_factory=set)

    @cached_property
    def usage_types(self) -> Mapping[str, str]:
        """Return the usage type of each category, none of them twice."""
        taken: set[str] = set()
        # The well-known ones first: they keep their names.
        categories = sorted({category for _, category, _ in self.plan.profiles}, key=lambda name: (name not in USAGE_TYPES, name))
        return {category: _free_name(category_of(category, ()).usage_type, taken) for category in categories}


class _TenantBooks:
    """The books of one tenant."""

    def __init__(self, written: _Written, tenant: str, is_one_of_many: bool) -> None:
        self._written = written
        self._plan = written.plan
        self._tenant = tenant
        self._remarks = written.remarks
        # Of each subject, the rows of the profiles that it has at the instant that is looked at.
        self._rows: dict[str, list[Row]] = {}
        self._profiles = {key[1:]: activations for key, activations in written.plan.profiles.items() if key[0] == tenant}
        prefix = written.terms.prefix + (f"{tenant}." if is_one_of_many else "")
        self._offerings = {
            subject: _free_name(f"{prefix}{subject.replace(ANY, 'any')}", written.offering_ids) for subject in self._subjects()
        }

    def books(self) -> Iterator[ImportedBook]:
        before: dict[str, dict[str, Chain]] = {}
        for at in sorted({activation.at for activations in self._profiles.values() for activation in activations}):
            chains = {subject: self._chains(subject, at) for subject in self._subjects()}
            changed = [subject for subject in self._subjects() if chains[subject] and chains[subject] != before.get(subject)]
            before = chains
            book = self._book(at, {subject: chains[subject] for subject in changed}) if changed else None
            if book is not None:
                yield book

    def _subjects(self) -> list[str]:
        return sorted({subject for _, subject in self._profiles})

    def _chains(self, subject: str, at: datetime) -> dict[str, Chain]:
        """Per category the plans that price it, the subject's own first."""
        chains = {}
        self._begun: list[Row] = []
        for category in sorted({category for category, _ in self._profiles}):
            active = self._active(category, subject, at) or self._active(category, ANY, at)
            if active is not None:
                chains[category] = tuple(dict.fromkeys(self._with_fallbacks(category, active, at, FALLBACKS_MAX)))
        self._rows[subject] = self._begun
        return chains

    def _active(self, category: str, subject: str, at: datetime) -> Activation | None:
        begun = [activation for activation in self._profiles.get((category, subject), ()) if activation.at <= at]
        return begun[-1] if begun else None

    def _with_fallbacks(self, category: str, activation: Activation, at: datetime, deeper: int) -> Iterator[str]:
        if activation.plan not in self._plan.plans:
            self._remarks.append(activation.row.remark(RemarkKind.LEFT_OUT, plan_is_not_there(activation.plan)))
        self._begun.append(activation.row)
        yield activation.plan
        for subject in activation.fallback_subjects if deeper else ():
            fallback = self._active(category, subject, at)
            if fallback is None:
                self._remarks.append(activation.row.remark(RemarkKind.LEFT_OUT, f"fallback subject {subject} has no plan then"))
            else:
                yield from self._with_fallbacks(category, fallback, at, deeper - 1)

    def _tell_profiles(self, subject: str, at: datetime, *, is_priced: bool) -> None:
        """Note the rows of the profiles that a subject has then: they stand in a book, or price nothing."""
        if is_priced:
            self._written.places.update(row.place for row in self._rows[subject] if row["RatingPlanId"] in self._plan.plans)
            return
        words = f"nothing of subject {subject} can be priced from {at.isoformat()} on; prices that it had before stay in force"
        self._remarks += [row.remark(RemarkKind.LEFT_OUT, words) for row in self._rows[subject]]

    def _book(self, at: datetime, chains: Mapping[str, Mapping[str, Chain]]) -> ImportedBook | None:
        draft = _Draft(self._written)
        offerings = {self._offerings[subject]: draft.offering(of_categories) for subject, of_categories in chains.items()}
        for subject in chains:
            self._tell_profiles(subject, at, is_priced=bool(offerings[self._offerings[subject]]))
        if not any(offerings.values()):
            return None
        begins = f"{at:%Y-%m-%d}" if f"{at:%H:%M:%S}" == "00:00:00" else f"{at:%Y-%m-%dT%H%M%S}"
        id = _free_name(f"{self._written.terms.prefix}{self._tenant}", self._written.book_ids, f"-{begins}")
        terms = {
            "id": id,
            "format": "2",
            "home_networks": list(self._written.terms.home_networks) or NO_HOME_NETWORK,
            "effective_from": at.isoformat().replace("+00:00", "Z"),
            "currency": self._written.terms.currency,
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

    written: _Written
    zones: dict[str, tuple[str, ...]] = field(default_factory=dict)
    bands: dict[str, Any] = field(default_factory=dict)
    holidays: dict[str, list[str]] = field(default_factory=dict)
    band_names: dict[BandMinutes, str] = field(default_factory=dict)

    @property
    def plan(self) -> TariffPlan:
        """Return the plan that is imported."""
        return self.written.plan

    @property
    def remarks(self) -> list[Remark]:
        """Return the remarks, which grow."""
        return self.written.remarks

    def offering(self, chains: Mapping[str, Chain]) -> list[dict[str, Any]]:
        """The usage prices of a subject."""
        prices: list[dict[str, Any]] = []
        for name, chain in chains.items():
            coverages = cover(self.plan, chain, self.remarks)
            slots = [slot for coverage in coverages for slot in self.plan.rates[coverage.rate.rate]]
            category = category_of(name, slots)
            prices += [self._price(coverage, Category(self.written.usage_types[name], category.unit)) for coverage in coverages]
        taken: Counter[str] = Counter()
        for price in prices:
            taken[price["id"]] += 1
            if taken[price["id"]] > 1:
                price["id"] = _name(price["id"], f"-{taken[price['id']]}")
        return prices

    def _price(self, coverage: Coverage, category: Category) -> dict[str, Any]:
        rate, band = coverage.rate, self._band(coverage)
        self.written.places.update(coverage.places, (slot.row.place for slot in self.plan.rates[rate.rate]))
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


def _lost(plan: TariffPlan, places: Set[tuple[str, int]], remarks: Iterable[Remark]) -> Iterator[Remark]:
    """A remark for the rows that stand in no book and have none of their own, one for all rows of a name."""
    told = {(remark.file, line) for remark in remarks if remark.kind is RemarkKind.LEFT_OUT for line in (remark.line, *remark.further)}
    by_name: dict[tuple[str, str], list[Row]] = {}
    for row in plan.rows:
        if row.place not in places and row.place not in told:
            by_name.setdefault((row.file, row["Id"] or row["Subject"]), []).append(row)
    for (file, name), rows in by_name.items():
        words = f"{ROW_WORDS[file]} {name} prices nothing: no profile uses it, or others go before it"
        yield Remark(file, rows[0].line, RemarkKind.LEFT_OUT, words, tuple(row.line for row in rows[1:]))


def _free_name(text: str, taken: set[str], ending: str = "") -> str:
    """A name that is not taken, and is from now on."""
    name, number = _name(text, ending), 1
    while name in taken:
        number += 1
        name = _name(text, f"{ending}-{number}")
    taken.add(name)
    return name


def _name(text: str, ending: str = "") -> str:
    """A text as a name: letters, digits, points, hyphens and underscores, with room for an ending."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-") or "unnamed"
    return plain[: NAME_LENGTH_MAX - len(ending)] + ending

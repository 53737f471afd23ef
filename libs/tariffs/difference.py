"""What changes from one rate book to another, in words and for whom: one `Change` for each thing that a customer would notice.

Prices are recognised by their id, which is what a bill names them by. What means the same is no change: 0.10 is 0.1,
a zone that is renamed but has the same numbers is the same zone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from libs.tariffs.book_document import BookDocument, as_list
from libs.tariffs.declared_names import NAMED, band_parts, holidays, hours, members
from libs.tariffs.model_parts import ModelPart, model_parts, unit_price
from libs.tariffs.offering_sheet import KINDS
from libs.tariffs.quantities import canonical, exact, number, percent, quantity
from libs.tariffs.words import MODELS, asked, band_words, condition_words, listed, match_words, price_words, told

MONEY = "money"
# Bare numbers under these keys are neither money nor percentages, and under those not even numbers.
UNITLESS = frozenset({"priority", "decimals"})
TEXTS = frozenset({"increments", "anchor", "percents"})
# What a key counts as where it is left out.
DEFAULTS = {
    "setup_fee": "0",
    "fixed": "0",
    "flat": "0",
    "free_amount": "0",
    "increments": "1/1",
    "crossing": "start",
    "counted": "period",
    "late_usage": "continue",
    "charged": "arrears",
    "anchor": "calendar",
    "while_suspended": "charged",
    "priority": "10",
    "recurrence": "month",
    "shared": "product",
    "applied": "before_tax",
    "scope": "all",
    "tax": "excluded",
}
# A tier has no increments of its own unless it says so.
OF_TIERS = {key: value for key, value in DEFAULTS.items() if key != "increments"}


class ChangeKind(StrEnum):
    """What happened. Raised and lowered are said of numbers alone: whether a change is good depends on the number."""

    ADDED = "added"
    REMOVED = "removed"
    RAISED = "raised"
    LOWERED = "lowered"
    CHANGED = "changed"


@dataclass(frozen=True)
class Change:
    """`offering` is empty for what concerns the whole book, `subject` is the id of a price or the name of a section."""

    kind: ChangeKind
    offering: str
    subject: str
    words: str
    before: str | None = None
    after: str | None = None
    difference: str | None = None
    percent: str | None = None


def difference(old: BookDocument, new: BookDocument) -> list[Change]:
    """Every change, those of the whole book first, then offering by offering."""
    changes = list(_book_changes(old, new))
    for offering in sorted(old.offerings.keys() | new.offerings.keys()):
        changes += _OfferingComparison(offering, old, new).changes()
    return changes


def _book_changes(old: BookDocument, new: BookDocument) -> Iterator[Change]:
    yield from _format_changes(old, new)
    for key, name in (("currency", "currency"), ("effective_from", "effective from"), ("time_zone", "time zone of its dates")):
        before, after = old.terms.get(key, "UTC"), new.terms.get(key, "UTC")
        if before != after:
            yield Change(ChangeKind.CHANGED, "", key, f"{name}: {before} becomes {after}", before, after)


def _format_changes(old: BookDocument, new: BookDocument) -> Iterator[Change]:
    before, after = str(old.book.format), str(new.book.format)
    if before != after:
        words = f"format: {before} becomes {after}: a price or allowance that says nothing about roaming is for usage at home alone"
        yield Change(ChangeKind.CHANGED, "", "format", words, before, after)
    elif old.book.home_networks != new.book.home_networks:
        networks = [listed(sorted(book.home_networks or ())) or "none" for book in (old.book, new.book)]
        yield Change(ChangeKind.CHANGED, "", "home_networks", f"home networks: {networks[0]} becomes {networks[1]}", *networks)


class _OfferingComparison:
    """One offering in the two books."""

    def __init__(self, offering: str, old: BookDocument, new: BookDocument) -> None:
        self._offering = offering
        self._old = old
        self._new = new

    def changes(self) -> Iterator[Change]:
        before, after = self._old.offerings.get(self._offering), self._new.offerings.get(self._offering)
        if before is None:
            yield self._change(ChangeKind.ADDED, "", "the offering is new")
            for key, terms in (after or {}).items():
                yield from self._section(key, None, terms)
        elif after is None:
            yield self._change(
                ChangeKind.REMOVED, "", f"left out of {self._new.book.id}: who has it keeps the prices of {self._old.book.id}"
            )
        else:
            for key in dict.fromkeys([*before, *after]):
                yield from self._section(key, before.get(key), after.get(key))

    def _section(self, key: str, before: Any, after: Any) -> Iterator[Change]:
        if not _is_list_of_ids(before) or not _is_list_of_ids(after):
            before, after = (DEFAULTS.get(key) if terms is None else terms for terms in (before, after))
            if canonical(before) != canonical(after):
                yield from self._item(key, key.replace("_", " "), before, after)
            return
        old, new = _by_id(before), _by_id(after)
        for id in dict.fromkeys([*old, *new]):
            yield from self._item(key, id, old.get(id), new.get(id))

    def _item(self, section: str, subject: str, before: Any, after: Any) -> Iterator[Change]:
        kind = KINDS.get(section, section.replace("_", " "))
        name = subject if not _description(after or before) else f"{_description(after or before)} ({subject})"
        if after is None:
            yield self._change(ChangeKind.REMOVED, subject, f"{kind} {name} is removed, it was {self._whole(section, before, self._old)}")
        elif before is None:
            yield self._change(ChangeKind.ADDED, subject, f"{kind} {name} is added: {self._whole(section, after, self._new)}")
        elif isinstance(before, Mapping) and isinstance(after, Mapping):
            for key in dict.fromkeys([*before, *after]):
                if key not in MODELS:
                    yield from self._field(section, subject, name, key, before.get(key), after.get(key))
            yield from self._model(subject, name, before, after)
        elif canonical(before) != canonical(after):
            yield self._compared(subject, name, told(before), told(after))

    def _field(
        self, section: str, subject: str, name: str, key: str, before: Any, after: Any, defaults: Mapping[str, str] = DEFAULTS
    ) -> Iterator[Change]:
        if key in ("match", "covers"):
            yield from self._match(subject, name, before or {}, after or {}, "is for" if key == "match" else "covers")
            return
        default = defaults.get(key)
        old, new = (before if before is not None else default), (after if after is not None else default)
        unit, same_currency = self._unit(section, key), self._old.book.currency == self._new.book.currency
        numbers = (None, None) if key in TEXTS else (number(old), number(new))
        if canonical(old, key) == canonical(new, key) and (same_currency or unit != MONEY or numbers[0] is None):
            return
        if key == "description":
            yield self._change(ChangeKind.CHANGED, subject, f"{subject} is called {after}, it was {before}", before, after)
            return
        what = name if key == "amount" else f"{name}, {key.replace('_', ' ')}"
        quantities = quantity(old), quantity(new)
        if numbers[0] is not None and numbers[1] is not None:
            amounts = [_with_unit(value, unit, document) for value, document in ((old, self._old), (new, self._new))]
            if same_currency or unit != MONEY:
                yield self._moved(
                    subject, what, amounts[0], amounts[1], numbers[0], numbers[1], self._new.book.currency if unit == MONEY else unit
                )
            else:
                yield self._compared(subject, what, amounts[0], amounts[1])
        elif quantities[0] is not None and quantities[1] is not None and quantities[0][1] == quantities[1][1]:
            yield self._moved(subject, what, str(old), str(new), quantities[0][0], quantities[1][0], quantities[0][1])
        else:
            yield self._compared(subject, name, self._condition(key, old, self._old), self._condition(key, new, self._new))

    def _unit(self, section: str, key: str) -> str:
        """What a bare number under a key counts."""
        if key in ("percent", "rate"):
            return "%"
        return "" if section == "allowances" or key in UNITLESS else MONEY

    def _model(self, subject: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
        """How the price itself moved: part by part where it has the same parts as before, else in words."""
        (old_model, old), (new_model, new) = model_parts(before), model_parts(after)
        same_currency = self._old.book.currency == self._new.book.currency
        same_parts = old_model == new_model and [part.place for part in old] == [part.place for part in new]
        if not (same_parts and same_currency and all(map(_comparable, old, new))):
            if old_model or new_model:
                yield self._compared(
                    subject, name, price_words(before, self._old.book.currency), price_words(after, self._new.book.currency)
                )
            return
        for old_part, new_part in zip(old, new, strict=True):
            of_part = f"{name}, {new_part.label}" if new_part.label else name
            for key in dict.fromkeys([*old_part.terms, *new_part.terms]):
                if key == "price":
                    yield from self._rate(subject, of_part, old_part.terms, new_part.terms)
                else:
                    terms = old_part.terms.get(key), new_part.terms.get(key)
                    yield from self._field("usage_prices", subject, of_part, key, *terms, DEFAULTS if old_model == "steps" else OF_TIERS)

    def _rate(self, subject: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
        old, new = unit_price(before.get("price")), unit_price(after.get("price"))
        if old is not None and new is not None and old[0] != new[0]:
            currency, per = self._new.book.currency, new[2]
            yield self._moved(
                subject, name, asked(before["price"], currency), asked(after["price"], currency), old[0] * per, new[0] * per, currency
            )

    def _match(self, subject: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any], verb: str) -> Iterator[Change]:
        """Names that both give are compared by what they stand for, all else as it is written."""
        both = [key for key in NAMED if key in before and key in after]
        for key in both:
            yield from self._named(subject, name, key, before[key], after[key])
        rest = [{key: value for key, value in terms.items() if key not in both} for terms in (before, after)]
        if canonical(rest[0]) != canonical(rest[1]):
            words = match_words if verb == "is for" else told
            old, new = (words({**terms, **{key: after[key] for key in both}}) or "everything" for terms in rest)
            yield self._compared(subject, f"{name} {verb}", old, new)

    def _named(self, subject: str, name: str, key: str, before: Any, after: Any) -> Iterator[Change]:
        kind = NAMED[key]
        if kind != "time_bands":
            numbers = "numbers with" if kind == "zones" else "networks"
            yield from self._members(subject, name, numbers, members(self._old, kind, before), members(self._new, kind, after))
            return
        if hours(self._old, before) != hours(self._new, after):
            words = [band_words(band_parts(document, names)) for document, names in ((self._old, before), (self._new, after))]
            yield self._compared(subject, f"{name}, hours of {told(after)}", words[0], words[1])
        yield from self._members(subject, name, "holidays", holidays(self._old, before), holidays(self._new, after))

    def _members(self, subject: str, name: str, what: str, before: list[str], after: list[str]) -> Iterator[Change]:
        gained, lost = sorted(set(after) - set(before)), sorted(set(before) - set(after))
        if gained:
            yield self._change(ChangeKind.CHANGED, subject, f"{name} is now also for {what} {listed(gained)}", None, listed(gained))
        if lost:
            yield self._change(ChangeKind.CHANGED, subject, f"{name} is no longer for {what} {listed(lost)}", listed(lost), None)

    def _whole(self, section: str, terms: Any, document: BookDocument) -> str:
        if not isinstance(terms, Mapping):
            return told(terms)
        currency = document.book.currency
        words = [match_words(terms["match"])] if "match" in terms else []
        if section == "usage_prices":
            words.append(price_words(terms, currency))
        words += [
            f"{value} {currency}" if key == "amount" and number(value) is not None else condition_words(key, value, currency)
            for key, value in terms.items()
            if key not in ("id", "description", "match") and not (section == "usage_prices" and key in MODELS)
        ]
        return ", ".join(words)

    def _condition(self, key: str, value: Any, document: BookDocument) -> str:
        return "nothing said" if value is None else condition_words(key, value, document.book.currency)

    def _moved(self, subject: str, name: str, before: str, after: str, old: Fraction, new: Fraction, unit: str | None = None) -> Change:
        kind = ChangeKind.RAISED if new > old else ChangeKind.LOWERED
        by = f"{'+' if new > old else '-'}{exact(abs(new - old))}"
        share = percent(old, new)
        amounts = ", ".join(part for part in (f"{by} {unit}" if unit else by, share) if part)
        return Change(kind, self._offering, subject, f"{name}: {kind} from {before} to {after} ({amounts})", before, after, by, share)

    def _compared(self, subject: str, name: str, before: str, after: str) -> Change:
        return self._change(ChangeKind.CHANGED, subject, f"{name}: {before} becomes {after}", before, after)

    def _change(self, kind: ChangeKind, subject: str, words: str, before: str | None = None, after: str | None = None) -> Change:
        return Change(kind, self._offering, subject, words, before, after)


def _is_list_of_ids(terms: Any) -> bool:
    return terms is None or all(isinstance(item, Mapping) and "id" in item for item in as_list(terms))


def _by_id(terms: Any) -> dict[str, Any]:
    return {item["id"]: item for item in as_list(terms)}


def _description(terms: Any) -> str:
    return told(terms.get("description", "")) if isinstance(terms, Mapping) else ""


def _with_unit(value: Any, unit: str, document: BookDocument) -> str:
    return f"{value} {document.book.currency if unit == MONEY else unit}".rstrip()


def _comparable(old: ModelPart, new: ModelPart) -> bool:
    """Whether both parts have a price per the same unit, or neither has one."""
    rates = unit_price(old.terms.get("price")), unit_price(new.terms.get("price"))
    if "price" not in old.terms and "price" not in new.terms:
        return True
    return rates[0] is not None and rates[1] is not None and rates[0][1] == rates[1][1]

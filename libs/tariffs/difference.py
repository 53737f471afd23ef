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
from libs.tariffs.offering_sheet import KINDS
from libs.tariffs.quantities import canonical, exact, number, percent, quantity
from libs.tariffs.words import MODELS, band_words, condition_words, listed, match_words, price_words, told

# Parts of a match that name what the book declares elsewhere.
NAMED = {"zone": "zones", "roaming_zone": "roaming_zones", "time_band": "time_bands"}


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
    for key, name in (("currency", "currency"), ("effective_from", "effective from"), ("time_zone", "time zone of its dates")):
        before, after = old.terms.get(key, "UTC"), new.terms.get(key, "UTC")
        if before != after:
            yield Change(ChangeKind.CHANGED, "", key, f"{name}: {before} becomes {after}", before, after)


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

    def _field(self, section: str, subject: str, name: str, key: str, before: Any, after: Any) -> Iterator[Change]:
        if key == "match":
            yield from self._match(subject, name, before or {}, after or {})
            return
        old, new = number(before if before is not None else _absent(key)), number(after if after is not None else _absent(key))
        is_money = section != "allowances" and key != "priority"
        same_currency = self._old.book.currency == self._new.book.currency or not is_money or old is None
        if canonical(before, key) == canonical(after, key) and same_currency:
            return
        if key == "description":
            yield self._change(ChangeKind.CHANGED, subject, f"{subject} is called {after}, it was {before}", before, after)
            return
        what = name if key == "amount" else f"{name}, {key.replace('_', ' ')}"
        if old is not None and new is not None:
            amounts = [
                f"{exact(value)} {document.book.currency}" if is_money else exact(value)
                for value, document in ((old, self._old), (new, self._new))
            ]
            if same_currency:
                yield self._moved(subject, what, amounts[0], amounts[1], old, new, self._new.book.currency if is_money else None)
            else:
                yield self._compared(subject, what, amounts[0], amounts[1])
            return
        quantities = quantity(before), quantity(after)
        if quantities[0] is not None and quantities[1] is not None and quantities[0][1] == quantities[1][1]:
            yield self._moved(subject, what, before, after, quantities[0][0], quantities[1][0], quantities[0][1])
            return
        yield self._compared(subject, name, self._condition(key, before, self._old), self._condition(key, after, self._new))

    def _model(self, subject: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
        """How the price itself moved: a standard price by its price per unit, any other in words."""
        old, new = ({key: terms[key] for key in MODELS if key in terms} for terms in (before, after))
        same_currency = self._old.book.currency == self._new.book.currency
        if canonical(old) == canonical(new) and (not old or same_currency):
            return
        old_words, new_words = price_words(old, self._old.book.currency), price_words(new, self._new.book.currency)
        before_rate, after_rate = _rate(old), _rate(new)
        if before_rate is None or after_rate is None or before_rate[1] != after_rate[1] or not same_currency:
            yield self._compared(subject, name, old_words, new_words)
        elif before_rate[0] != after_rate[0]:
            per = after_rate[2]
            yield self._moved(subject, name, old_words, new_words, before_rate[0] * per, after_rate[0] * per, self._new.book.currency)

    def _match(self, subject: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
        told_apart = False
        for key, kind in NAMED.items():
            old = self._declared(self._old, kind, before.get(key))
            new = self._declared(self._new, kind, after.get(key))
            if old == new or before.get(key) is None or after.get(key) is None:
                continue
            told_apart = True
            yield from self._named(subject, name, kind, after, old, new)
        rest_before = {key: value for key, value in before.items() if key not in NAMED or key not in after}
        rest_after = {key: value for key, value in after.items() if key not in NAMED or key not in before}
        if canonical(rest_before) != canonical(rest_after) and not told_apart:
            yield self._compared(subject, f"{name} is for", match_words(before), match_words(after))
        elif canonical(rest_before) != canonical(rest_after):
            yield self._compared(subject, f"{name} is for", match_words(rest_before), match_words(rest_after))

    def _named(self, subject: str, name: str, kind: str, after: Mapping[str, Any], old: Any, new: Any) -> Iterator[Change]:
        if kind == "time_bands":
            band = told(after["time_band"])
            words = " and ".join(band_words(self._old.named(kind, one)) for one in as_list(band) if self._old.named(kind, one)) or "always"
            yield self._compared(subject, f"{name}, hours of {band}", words, band_words(self._new.named(kind, band)))
            return
        numbers = "numbers with" if kind == "zones" else "networks"
        gained, lost = sorted(set(new) - set(old)), sorted(set(old) - set(new))
        if gained:
            yield self._change(ChangeKind.CHANGED, subject, f"{name} is now also for {numbers} {listed(gained)}", None, listed(gained))
        if lost:
            yield self._change(ChangeKind.CHANGED, subject, f"{name} is no longer for {numbers} {listed(lost)}", listed(lost), None)

    def _declared(self, document: BookDocument, kind: str, names: Any) -> Any:
        """What names stand for, in a form that can be compared; holidays of a band are looked up too."""
        if kind != "time_bands":
            return sorted({item for name in as_list(names) for item in as_list(document.named(kind, name))})
        parts = [part for name in as_list(names) for part in as_list(document.named(kind, name))]
        return canonical([{key: self._holidays(document, key, value) for key, value in part.items()} for part in parts])

    def _holidays(self, document: BookDocument, key: str, value: Any) -> Any:
        return [document.named("holidays", name) for name in as_list(value)] if key in ("holidays", "except_holidays") else value

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
            if key not in ("id", "description", "match", *MODELS)
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


def _absent(key: str) -> str | None:
    """What a key counts as where it is left out."""
    return "0" if key in ("setup_fee",) else None


def _rate(terms: Mapping[str, Any]) -> tuple[Fraction, str, Fraction] | None:
    """The amount for one unit that usage counts, of a standard price, and how many units it is stated for."""
    price = terms.get("price")
    if not isinstance(price, Mapping) or price.keys() != {"amount", "per"}:
        return None
    amount, per = number(price["amount"]), quantity(price["per"])
    return (amount / per[0], per[1], per[0]) if amount is not None and per is not None else None

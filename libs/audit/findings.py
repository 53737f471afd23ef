"""What an audit found: how much was looked at, and every difference, bounded per category."""

from collections import Counter
from typing import Any, Self

from libs.audit.domain.difference import Category, Difference

# One fault in the code can make a million differences; the count tells that, the first of them show what it is.
DIFFERENCES_KEPT_MAX = 1_000


class Findings:
    """`checked` counts documents by subject; `counts` all differences by category, of which the first ones are kept.

    `moving` counts what changed from one look to the next, by category: it was on its way and is not known to be wrong.
    """

    def __init__(self, kept_max: int = DIFFERENCES_KEPT_MAX) -> None:
        self.checked: Counter[str] = Counter()
        self.counts: Counter[Category] = Counter()
        self.moving: Counter[Category] = Counter()
        self.differences: list[Difference] = []
        # The key under which a step finds the subject of a kept difference again; None where only the whole step does.
        self.keys: dict[Difference, str | None] = {}
        self._kept_max = kept_max

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.counts

    def add(self, *differences: Difference, key: str | None = None) -> None:
        """Count differences, and keep them while their category has room. `key` finds their subject again."""
        for difference in differences:
            self.counts[difference.category] += 1
            if self.counts[difference.category] <= self._kept_max:
                self.differences.append(difference)
                self.keys[difference] = key

    def merge(self, other: "Findings") -> None:
        """Add what another step found."""
        self.checked.update(other.checked)
        self.counts.update(other.counts)
        self.moving.update(other.moving)
        self.differences += other.differences

    def as_json(self) -> dict[str, Any]:
        """Everything found, for a file."""
        return {
            "checked": dict(self.checked),
            "counts": dict(self.counts),
            "moving": dict(self.moving),
            "differences": [difference.model_dump(mode="json") for difference in self.differences],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """What a file has."""
        findings = cls()
        findings.checked.update(stored["checked"])
        findings.counts.update({Category(name): count for name, count in stored["counts"].items()})
        findings.moving.update({Category(name): count for name, count in stored["moving"].items()})
        findings.differences = [Difference.model_validate(difference) for difference in stored["differences"]]
        return findings

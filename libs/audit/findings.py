"""What an audit found: how much was looked at, and every difference, bounded per category."""

from collections import Counter

from libs.audit.domain.difference import Category, Difference

# One fault in the code can make a million differences; the count tells that, the first of them show what it is.
DIFFERENCES_KEPT_MAX = 1_000


class Findings:
    """`checked` counts documents by subject; `counts` all differences by category, of which the first ones are kept."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.counts: Counter[Category] = Counter()
        self.differences: list[Difference] = []

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.counts

    def add(self, *differences: Difference) -> None:
        """Count differences, and keep them while their category has room."""
        for difference in differences:
            self.counts[difference.category] += 1
            if self.counts[difference.category] <= DIFFERENCES_KEPT_MAX:
                self.differences.append(difference)

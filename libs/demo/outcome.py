"""How a demo came out: its figures, and what is wrong with them if anything is."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from libs.demo.comparison import Comparison

# Of the data set that comes with the project, all customers: what exact arithmetic makes of it.
SHIPPED = Comparison(line_count=10_664, equal_count=10_639, cent_above_count=25, total=Decimal("158261.09"))
SHIPPED_CUSTOMERS = 2_666


@dataclass(frozen=True)
class DemoOutcome:
    """Seconds are measured from outside: from the first call published to the last one rated, and from a run's start to its end.

    `billed_usage_count` calls are on bills; `run_bill_count` bills were made by the run, one more on demand.
    """

    customer_count: int
    calling_customer_count: int
    usage_count: int
    billed_usage_count: int
    bill_count: int
    run_bill_count: int
    comparison: Comparison
    onboarding_s: float
    rating_s: float
    run_s: float
    on_demand_s: float

    @property
    def usages_per_s(self) -> int:
        """Through Kafka, priced, stored, published and committed."""
        return int(self.usage_count / self.rating_s)

    @property
    def bills_per_s(self) -> float:
        """Cut, assembled, taxed, numbered, stored and counted, to a tenth; without their PDFs."""
        return int(10 * self.run_bill_count / self.run_s) / 10

    def to_json(self) -> Mapping[str, Any]:
        """For machines; `total` in USD before tax."""
        return {
            "customers": self.customer_count,
            "usages": self.usage_count,
            "lines": self.comparison.line_count,
            "lines_equal": self.comparison.equal_count,
            "lines_off_by_one_cent": self.comparison.cent_above_count,
            "total": self.comparison.total,
            "usages_per_s": self.usages_per_s,
            "bills_per_s": self.bills_per_s,
        }

    def faults(self, *, shipped_data: bool) -> list[str]:
        """What the figures should not be. What a foreign file publishes may follow another tariff, so only ours is held to it."""
        found = []
        if self.billed_usage_count != self.usage_count:
            found.append(f"{self.usage_count} calls were published, but the bills count {self.billed_usage_count}")
        if self.bill_count != self.calling_customer_count:
            found.append(f"{self.calling_customer_count} customers who called have {self.bill_count} bills")
        if shipped_data and self.comparison.wrong_count:
            found.append(f"{self.comparison.wrong_count} bill lines differ from the published charge by more than the one cent above")
        if shipped_data and self.customer_count == SHIPPED_CUSTOMERS and self.comparison != SHIPPED:
            found.append(f"{self.comparison} should be {SHIPPED}")
        return found

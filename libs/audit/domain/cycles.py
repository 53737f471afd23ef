"""Billing cycles that no run billed although a month is over, and what tells that an account of such a cycle owes something."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.audit.domain.difference import Category, Difference
from libs.audit.domain.fees import BilledAccount, KnownProduct, owed_fees
from libs.periods import MOMENT, calendar_month, month_containing
from libs.pricing import RateBooks

# Runs wait some days for late usage, of roaming partners above all. After half a month a run is no longer late but forgotten.
RUN_EXPECTED_WITHIN = timedelta(days=15)
EXAMPLES_MAX = 5


def month_due(as_of: datetime) -> str:
    """Return the last month, such as 2026-03, that every cycle should have been run for at an instant."""
    begun = month_containing(as_of - RUN_EXPECTED_WITHIN, "UTC").start
    return f"{begun - MOMENT:%Y-%m}"


@dataclass(frozen=True, slots=True)
class CycleAccount:
    """An account of a cycle that was last run for the month `last_run`, or for none."""

    id: str
    currency: str
    time_zone: str
    billed_from: datetime | None
    last_run: str | None

    def owes(self, due: str, charges_began: Iterable[datetime], products: Sequence[KnownProduct], books: RateBooks) -> bool:
        """Return whether unbilled charges, or fees, are of months after the last run up to the month `due`.

        Usage that comes after the run of its month is on the bill of the next, and is no sign that a run is missing.
        """
        end = calendar_month(due, self.time_zone).end
        start = calendar_month(self.last_run, self.time_zone).end if self.last_run else None
        if any((start is None or start <= began) and began < end for began in charges_began):
            return True
        begins = max((each for each in (start, self.billed_from) if each is not None), default=None)
        account = BilledAccount(self.id, self.currency, self.time_zone, end, begins)
        return any(True for product in products for _ in owed_fees(account, product, books))


@dataclass
class CycleWithoutRun:
    """A cycle that was not run for the month `due`, with the accounts that owe something."""

    cycle: str
    last_run: str | None
    due: str
    account_count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, account_id: str) -> None:
        """Count an account."""
        self.account_count += 1
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(account_id)

    def differences(self) -> list[Difference]:
        """Return the finding with its remedy, or nothing where no account owes anything."""
        if not self.account_count:
            return []
        run = f"the last run is of {self.last_run}" if self.last_run else "no run ever"
        named = ", ".join(self.examples) + (" and others" if self.account_count > len(self.examples) else "")
        return [
            Difference(
                category=Category.CYCLE_WITHOUT_RUN,
                id=self.cycle,
                expected=f"a bill run: `tarifa bill-run --cycle {self.cycle} --period {self.due}` bills this month and those before it",
                found=f"{run}; {self.account_count} accounts have unbilled charges or fees: {named}",
            )
        ]

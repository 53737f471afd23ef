"""The mediation adapter: from one customer's totals to single calls that add up to them exactly.

Each band becomes as many calls as the data set says; their whole seconds sum to the band's minutes; every call starts inside
the band and the month as the customer's own clock shows them. Same seed, same calls. Calls abroad start at any hour.
"""

import calendar
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from random import Random
from typing import NamedTuple

from libs.demo.churn import Band, ChurnCustomer
from libs.demo.numbers import DOMESTIC_NUMBERS, INTERNATIONAL_NUMBERS, subscriber_number
from libs.periods import calendar_month, time_zone

# Hours of the local day, half-open; a night call counts to the day that its small hours belong to.
BAND_HOURS = {Band.DAY: ((8, 18),), Band.EVENING: ((18, 22),), Band.NIGHT: ((0, 8), (22, 24)), Band.INTERNATIONAL: ((0, 24),)}


class Call(NamedTuple):
    """One call as the switch recorded it; `started_at` in seconds since 1970 UTC. Sorts by start, then by id."""

    started_at: int
    usage_id: str
    identifier: str
    seconds: int
    called_number: str

    def to_message(self) -> bytes:
        """The body of its UsageReceived: the bytes that the class would write, in a fraction of its time."""
        started_at = datetime.fromtimestamp(self.started_at, UTC).isoformat()[:19]
        return (
            f'{{"id":"{self.usage_id}","identifier":"{self.identifier}","usage_type":"voice","started_at":"{started_at}Z",'
            f'"quantity":"{self.seconds}","unit":"s","called_number":"{self.called_number}"}}'
        ).encode()


@dataclass(frozen=True)
class Mediation:
    """What the calls depend on beside the customer: the month, the seed, and the demo's cohort, whose numbers are its own."""

    period: str
    seed: int
    cohort: int

    def identifier(self, customer: ChurnCustomer) -> str:
        """The customer's number."""
        return subscriber_number(self.cohort, customer.area_code, customer.number)

    def calls(self, customer: ChurnCustomer) -> Iterator[Call]:
        """All calls of one customer, band by band, in no order of time."""
        random = Random(f"{self.seed}/{customer.number}")
        identifier = self.identifier(customer)
        for band, traffic in customer.traffic.items():
            windows = band_windows(band, self.period, customer.time_zone)
            band_s = windows.seconds
            called_numbers = INTERNATIONAL_NUMBERS if band is Band.INTERNATIONAL else DOMESTIC_NUMBERS
            usage_ids = f"demo{self.cohort}-{self.period}-{customer.number:04d}-{band}"
            for number, seconds in enumerate(split_seconds(traffic.seconds, traffic.call_count, random), start=1):
                yield Call(
                    windows.instant(int(random.random() * band_s)),
                    f"{usage_ids}-{number:03d}",
                    identifier,
                    seconds,
                    called_numbers[int(random.random() * len(called_numbers))],
                )


@dataclass(frozen=True)
class BandWindows:
    """The stretches of real time that a band has in a month. `starts` in seconds since 1970; `ends_at[i]` seconds of the
    band have passed when the i-th stretch ends."""

    starts: tuple[int, ...]
    ends_at: tuple[int, ...]

    @property
    def seconds(self) -> int:
        """How long the band is over the whole month."""
        return self.ends_at[-1]

    def instant(self, offset: int) -> int:
        """The instant at which `offset` seconds of the band have passed; 0 <= offset < seconds."""
        index = bisect_right(self.ends_at, offset)
        return self.starts[index] + offset - (self.ends_at[index - 1] if index else 0)


@lru_cache(maxsize=1024)
def band_windows(band: Band, period: str, zone_name: str) -> BandWindows:
    """Laid out in real time, so an hour that a change of clocks skips has no instants and one that it repeats has them twice."""
    month = calendar_month(period, zone_name)
    first = month.start.astimezone(time_zone(zone_name)).replace(tzinfo=None)
    days = [first + timedelta(days=day) for day in range(calendar.monthrange(first.year, first.month)[1])]
    stretches = [tuple(_epoch(day + timedelta(hours=hour), zone_name) for hour in hours) for day in days for hours in BAND_HOURS[band]]
    return BandWindows(
        starts=tuple(start for start, _ in stretches),
        ends_at=tuple(accumulate(end - start for start, end in stretches)),
    )


def split_seconds(seconds: int, count: int, random: Random) -> list[int]:
    """`count` durations that add up to `seconds`, none of them zero while there is a second for each.

    Cut points spread evenly, so durations come out as telephone calls do: many short ones and a few long.
    """
    if count == 0:
        return []
    least = min(1, seconds // count)
    spare = seconds - count * least
    cuts = sorted(int(random.random() * (spare + 1)) for _ in range(count - 1))
    return [least + later - earlier for earlier, later in pairwise([0, *cuts, spare])]


def _epoch(wall_clock: datetime, zone_name: str) -> int:
    return int(wall_clock.replace(tzinfo=time_zone(zone_name)).timestamp())

"""Which destination rate prices which called prefix at which minutes of the week, for one subject and category.

The longest prefix that the subject's own plan has wins, whatever a fallback plan has: so a prefix of a fallback plan that begins
with one of an earlier plan is never reached. `*any` is the prefix of every number.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from libs.tariffs.cgrates.plan import ANY, DestinationRate, PlanEntry, TariffPlan
from libs.tariffs.cgrates.tables import Remark, RemarkKind
from libs.tariffs.cgrates.weeks import BandMinutes, Division, Timing, divide, hours_in_words

NO_PREFIX = ""


@dataclass(frozen=True)
class Coverage:
    """A destination rate with the prefixes and minutes that it prices; `timing` is the one that gave it most of them.

    `places` are the files and lines of plan, timing and destination that it comes from.
    """

    rate: DestinationRate
    prefixes: tuple[str, ...]
    timing: Timing
    minutes: BandMinutes
    places: frozenset[tuple[str, int]]


def cover(plan: TariffPlan, chain: Iterable[str], remarks: list[Remark]) -> list[Coverage]:
    """What the plans of a chain price: the subject's own first, then those of its fallback subjects."""
    shares: dict[tuple[int, str, BandMinutes], tuple[DestinationRate, Timing, list[str], set[tuple[str, int]]]] = {}
    covered: dict[str, frozenset[int]] = {}
    for name in chain:
        claims = _claims(plan, name, remarks)
        reached = [prefix for prefix in claims if not any(prefix[:length] in covered for length in range(len(prefix) + 1))]
        for prefix in reached:
            claimants = claims[prefix]
            division = divide(tuple((entry.timing, entry.weight) for entry, _ in claimants))
            remarks += [_taken_remark(claimants[first][1], claimants[late][1], prefix) for first, late in division.equals]
            remarks += [
                claimants[other][0].row.remark(
                    RemarkKind.LEFT_OUT, f"timing {claimants[other][0].timing.name} has other dates than those beside it"
                )
                for other in division.others
            ]
            remarks += _outweighed(claimants, division, prefix)
            for position, minutes in division.shares:
                entry, rate = claimants[position]
                share = shares.setdefault((id(rate), entry.timing.name, minutes), (rate, entry.timing, [], set()))
                share[2].append(prefix)
                share[3].update(_places(plan, entry, rate, prefix))
            covered[prefix] = division.unpriced
    remarks += _holes(covered)
    return [
        Coverage(rate, tuple(prefixes), timing, minutes, frozenset(places))
        for (_, _, minutes), (rate, timing, prefixes, places) in shares.items()
    ]


def _places(plan: TariffPlan, entry: PlanEntry, rate: DestinationRate, prefix: str) -> Iterator[tuple[str, int]]:
    yield entry.row.place
    yield rate.row.place
    yield "Timings.csv", entry.timing.line
    yield from (("Destinations.csv", line) for line in plan.prefix_lines.get((rate.destination, prefix), ()))


def _outweighed(claimants: Sequence[tuple[PlanEntry, DestinationRate]], division: Division, prefix: str) -> Iterator[Remark]:
    """What never prices the prefix, for heavier timings, or those that start later, have all of its minutes."""
    told = {late for _, late in division.equals} | set(division.others)
    winners = [claimants[position][1].id for position, _ in division.shares]
    for position in sorted(set(range(len(claimants))) - {position for position, _ in division.shares} - told):
        rate = claimants[position][1]
        yield rate.row.remark(
            RemarkKind.LEFT_OUT, f"{rate.id}: prefix {prefix or ANY} is priced by {', '.join(dict.fromkeys(winners))} at all of its times"
        )


def _taken_remark(first: DestinationRate, late: DestinationRate, prefix: str) -> Remark:
    return late.row.remark(RemarkKind.LEFT_OUT, f"{late.id} for {prefix or ANY} has the time and weight of {first.id}, which is taken")


def _claims(plan: TariffPlan, name: str, remarks: list[Remark]) -> dict[str, list[tuple[PlanEntry, DestinationRate]]]:
    """Everything that a plan has, by prefix."""
    claims: dict[str, list[tuple[PlanEntry, DestinationRate]]] = defaultdict(list)
    for entry in plan.plans.get(name, ()):
        rates = plan.destination_rates.get(entry.destination_rates, ())
        if not rates:
            remarks.append(entry.row.remark(RemarkKind.LEFT_OUT, f"destination rates {entry.destination_rates} are not there"))
        for rate in rates:
            prefixes = (NO_PREFIX,) if rate.destination == ANY else plan.destinations.get(rate.destination, ())
            if not prefixes:
                remarks.append(rate.row.remark(RemarkKind.LEFT_OUT, f"destination {rate.destination} is not there, or has no prefix"))
            elif rate.rate not in plan.rates:
                remarks.append(rate.row.remark(RemarkKind.LEFT_OUT, f"rate {rate.rate} is not there"))
                continue
            for prefix in prefixes:
                claims[prefix].append((entry, rate))
    return claims


def _holes(covered: Mapping[str, frozenset[int]]) -> Iterator[Remark]:
    """Prefixes that are not priced all week: CGRateS has no price then, and a rate book asks a shorter prefix where there is one."""
    unpriced: dict[frozenset[int], list[str]] = defaultdict(list)
    for prefix, minutes in sorted(covered.items()):
        shorter = [prefix[:length] for length in range(len(prefix)) if prefix[:length] in covered]
        if minutes and shorter:
            yield Remark(
                "RatingPlans.csv",
                0,
                RemarkKind.DIFFERS,
                f"prefix {prefix} is not priced all week: at other times the book asks {shorter[-1] or ANY}, CGRateS nothing",
            )
        elif minutes:
            unpriced[minutes].append(prefix or ANY)
    for minutes, prefixes in unpriced.items():
        more = f" and {len(prefixes) - 1} more" if len(prefixes) > 1 else ""
        words = f"prefix {prefixes[0]}{more} cannot be priced {hours_in_words(minutes)}: usage of these hours waits in suspense"
        yield Remark("RatingPlans.csv", 0, RemarkKind.DIFFERS, words)

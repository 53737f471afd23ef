"""Which destination rate prices which called prefix at which minutes of the week, for one subject and category.

The longest prefix that the subject's own plan has wins, whatever a fallback plan has: so a prefix of a fallback plan that begins
with one of an earlier plan is never reached. `*any` is the prefix of every number.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from libs.tariffs.cgrates.plan import ANY, DestinationRate, PlanEntry, TariffPlan
from libs.tariffs.cgrates.tables import Remark, RemarkKind
from libs.tariffs.cgrates.weeks import BandMinutes, Timing, divide

NO_PREFIX = ""


@dataclass(frozen=True)
class Coverage:
    """A destination rate with the prefixes and minutes that it prices; `timing` is the one that gave it most of them."""

    rate: DestinationRate
    prefixes: tuple[str, ...]
    timing: Timing
    minutes: BandMinutes


def cover(plan: TariffPlan, chain: Iterable[str], remarks: list[Remark]) -> list[Coverage]:
    """What the plans of a chain price: the subject's own first, then those of its fallback subjects."""
    shares: dict[tuple[int, str, BandMinutes], tuple[DestinationRate, Timing, list[str]]] = {}
    covered: dict[str, bool] = {}
    for name in chain:
        claims = _claims(plan, name, remarks)
        reached = [prefix for prefix in claims if not any(prefix[:length] in covered for length in range(len(prefix) + 1))]
        for prefix in reached:
            claimants = _heaviest(claims[prefix], prefix, remarks)
            division = divide(tuple((entry.timing, entry.weight) for entry, _ in claimants))
            remarks += [_taken_remark(claimants[first][1], claimants[late][1], prefix) for first, late in division.equals]
            remarks += [
                claimants[other][0].row.remark(
                    RemarkKind.LEFT_OUT, f"timing {claimants[other][0].timing.name} has other dates than those beside it"
                )
                for other in division.others
            ]
            for position, minutes in division.shares:
                entry, rate = claimants[position]
                shares.setdefault((id(rate), entry.timing.name, minutes), (rate, entry.timing, []))[2].append(prefix)
            covered[prefix] = division.is_whole
    remarks += _holes(covered)
    return [Coverage(rate, tuple(prefixes), timing, minutes) for (_, _, minutes), (rate, timing, prefixes) in shares.items()]


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


def _heaviest(
    claims: list[tuple[PlanEntry, DestinationRate]], prefix: str, remarks: list[Remark]
) -> list[tuple[PlanEntry, DestinationRate]]:
    """Of several destinations with the same prefix only one prices it: the heaviest."""
    weights: dict[str, list[PlanEntry]] = defaultdict(list)
    for entry, rate in claims:
        weights[rate.destination].append(entry)
    best = max(weights, key=lambda destination: max(entry.weight for entry in weights[destination]))
    remarks += [
        rate.row.remark(RemarkKind.LEFT_OUT, f"{rate.id}: prefix {prefix} is priced as {best}, which has it too")
        for _, rate in claims
        if rate.destination != best
    ]
    return [(entry, rate) for entry, rate in claims if rate.destination == best]


def _holes(covered: Mapping[str, bool]) -> Iterator[Remark]:
    """Prefixes that are not priced all week, and a shorter one is: CGRateS has no price then, and a rate book asks the shorter one."""
    for prefix, is_whole in sorted(covered.items()):
        shorter = [prefix[:length] for length in range(len(prefix)) if prefix[:length] in covered]
        if not is_whole and shorter:
            yield Remark(
                "RatingPlans.csv",
                0,
                RemarkKind.DIFFERS,
                f"prefix {prefix} is not priced all week: at other times the book asks {shorter[-1] or ANY}, CGRateS nothing",
            )

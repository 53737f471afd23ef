"""The rows of a CGRateS tariff plan as objects: destinations, rates, timings, plans and profiles by name.

A row that cannot be read is left out with a remark, and so is what refers to it.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from libs.exact_decimal import ENTERED, InvalidDecimal, parse_decimal
from libs.pricing.called_prefix import parse_prefix
from libs.pricing.exact_number import parse_number
from libs.pricing.faults import Unreadable
from libs.pricing.increments import DECIMALS_MAX as INCREMENT_DECIMALS_MAX
from libs.pricing.rounding_reader import RECORD_DECIMALS_MAX
from libs.tariffs.cgrates.tables import FILES, Remark, RemarkKind, Row, read_table
from libs.tariffs.cgrates.weeks import Timing, read_timing

ANY = "*any"
# What has no beginning is in force since then.
FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)?", re.ASCII)
_SECONDS = {"ns": Decimal("1e-9"), "us": Decimal("1e-6"), "ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600)}
_ROUNDING_MODES = {"*up": "up", "*down": "down", "*middle": "half_up"}


@dataclass(frozen=True)
class Length:
    """A number of seconds, or, where no unit is said, of whatever the usage counts."""

    count: Decimal
    has_unit: bool


@dataclass(frozen=True)
class RateSlot:
    """The rate that holds from `start` of a usage on."""

    row: Row
    connect_fee: Decimal
    amount: Decimal
    per: Length
    increment: Length
    start: Length


@dataclass(frozen=True)
class DestinationRate:
    """A rate for a destination. `maximum` is zero for none; `rounding` is a mode of ours with its decimals."""

    row: Row
    id: str
    destination: str
    rate: str
    rounding: tuple[str, int] | None
    maximum: Decimal
    disconnects: bool


@dataclass(frozen=True)
class PlanEntry:
    """Destination rates at certain times. The heavier one wins, and of equals the one that starts later in the day."""

    row: Row
    destination_rates: str
    timing: Timing
    weight: Decimal


@dataclass(frozen=True)
class Activation:
    """The instant from which a subject has a plan, with the subjects whose plans come after it."""

    row: Row
    at: datetime
    plan: str
    fallback_subjects: tuple[str, ...]


@dataclass(frozen=True)
class TariffPlan:
    """All of it by name; `profiles` are by tenant, category and subject, each in order of time.

    `prefix_lines` are the lines of a destination and prefix, `rows` all that could be read: each comes over, or a remark names it.
    """

    destinations: Mapping[str, tuple[str, ...]]
    rates: Mapping[str, tuple[RateSlot, ...]]
    destination_rates: Mapping[str, tuple[DestinationRate, ...]]
    plans: Mapping[str, tuple[PlanEntry, ...]]
    profiles: Mapping[tuple[str, str, str], tuple[Activation, ...]]
    remarks: list[Remark] = field(default_factory=list)
    prefix_lines: Mapping[tuple[str, str], tuple[int, ...]] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()


def read_tariff_plan(texts: Mapping[str, str], *, add_plus: bool = False) -> TariffPlan:
    """The plan of these files, by their names. `add_plus` writes +49 for the prefix 49."""
    remarks = [
        Remark(name, 0, RemarkKind.LEFT_OUT, "balances, actions, routes and the like have no counterpart in a rate book")
        for name in sorted(texts.keys() - FILES.keys())
    ]
    rows = {file: read_table(file, texts.get(file, ""), remarks) for file in FILES if file in texts or file != "Timings.csv"}
    prefix_lines = _prefix_lines(rows["Destinations.csv"], remarks, add_plus=add_plus)
    plans = _plans(rows["RatingPlans.csv"], _timings(rows.get("Timings.csv", []), remarks), remarks)
    return TariffPlan(
        destinations=_destinations(prefix_lines),
        rates=_rates(rows["Rates.csv"], remarks),
        destination_rates=_destination_rates(rows["DestinationRates.csv"], remarks),
        plans=plans,
        profiles=_profiles(rows["RatingProfiles.csv"], plans, remarks),
        remarks=remarks,
        prefix_lines=prefix_lines,
        rows=tuple(row for of_file in rows.values() for row in of_file),
    )


def _destinations(prefix_lines: Mapping[tuple[str, str], tuple[int, ...]]) -> dict[str, tuple[str, ...]]:
    prefixes: dict[str, list[str]] = defaultdict(list)
    for name, prefix in prefix_lines:
        prefixes[name].append(prefix)
    return {name: tuple(found) for name, found in prefixes.items()}


def _prefix_lines(rows: list[Row], remarks: list[Remark], *, add_plus: bool) -> dict[tuple[str, str], tuple[int, ...]]:
    lines: dict[tuple[str, str], tuple[int, ...]] = {}
    for row in rows:
        prefix = f"+{row['Prefix']}" if add_plus and row["Prefix"].isdigit() else row["Prefix"]
        try:
            place = row["Id"], parse_prefix(prefix)
            lines[place] = (*lines.get(place, ()), row.line)
        except Unreadable as error:
            remarks.append(row.remark(RemarkKind.LEFT_OUT, error.message))
    return lines


def _rates(rows: list[Row], remarks: list[Remark]) -> dict[str, tuple[RateSlot, ...]]:
    slots: dict[str, list[RateSlot]] = defaultdict(list)
    for row in rows:
        numbers = [_number(row[column] or "0") for column in ("ConnectFee", "Rate")]
        lengths = [_length(row[column] or "0") for column in ("RateUnit", "RateIncrement", "GroupIntervalStart")]
        if None in numbers or None in lengths:
            remarks.append(
                row.remark(RemarkKind.LEFT_OUT, "a fee, a rate or a length of time is negative, no number, or has too many digits")
            )
            continue
        fee, amount = (number for number in numbers if number is not None)
        per, increment, start = (length for length in lengths if length is not None)
        # Neither a unit nor an increment of nothing is possible: one of each is meant.
        slots[row["Id"]].append(RateSlot(row, fee, amount, _at_least_one(per), _at_least_one(increment), start))
    found = {name: _in_order(these, remarks) for name, these in slots.items()}
    for these in found.values():
        remarks += [
            slot.row.remark(RemarkKind.LEFT_OUT, f"connect fee {slot.connect_fee}: only that of the first interval is ever asked")
            for slot in these[1:]
            if slot.connect_fee
        ]
    return found


def _in_order(slots: list[RateSlot], remarks: list[Remark]) -> tuple[RateSlot, ...]:
    """Intervals by their start; of two with the same start the first."""
    by_start: dict[Decimal, RateSlot] = {}
    for slot in slots:
        if by_start.setdefault(slot.start.count, slot) is not slot:
            remarks.append(slot.row.remark(RemarkKind.LEFT_OUT, f"another interval of {slot.row['Id']} starts there too, and is taken"))
    return tuple(by_start[start] for start in sorted(by_start))


def _destination_rates(rows: list[Row], remarks: list[Remark]) -> dict[str, tuple[DestinationRate, ...]]:
    found: dict[str, list[DestinationRate]] = defaultdict(list)
    for row in rows:
        maximum = _number(row["MaxCost"] or "0")
        if maximum is None:
            remarks.append(row.remark(RemarkKind.LEFT_OUT, f"MaxCost {row['MaxCost']} is no number"))
            maximum = Decimal(0)
        disconnects = bool(maximum) and row["MaxCostStrategy"] == "*disconnect"
        found[row["Id"]].append(
            DestinationRate(row, row["Id"], row["DestinationId"], row["RatesTag"], _rounding(row, remarks), maximum, disconnects)
        )
    return {name: tuple(these) for name, these in found.items()}


def _rounding(row: Row, remarks: list[Remark]) -> tuple[str, int] | None:
    method, decimals = row["RoundingMethod"], row["RoundingDecimals"]
    if not method:
        return None
    if method not in _ROUNDING_MODES or not decimals.isdigit():
        remarks.append(row.remark(RemarkKind.LEFT_OUT, f"rounding {method} to {decimals or 'no'} decimals is not known"))
        return None
    if int(decimals) > RECORD_DECIMALS_MAX:
        remarks.append(row.remark(RemarkKind.DIFFERS, f"amounts stay exact, instead of being rounded to {decimals} decimals"))
        return None
    return _ROUNDING_MODES[method], int(decimals)


def _timings(rows: list[Row], remarks: list[Remark]) -> dict[str, Timing]:
    timings = (read_timing(row, remarks) for row in rows)
    return {timing.name: timing for timing in timings if timing is not None}


def _plans(rows: list[Row], timings: Mapping[str, Timing], remarks: list[Remark]) -> dict[str, tuple[PlanEntry, ...]]:
    entries: dict[str, list[PlanEntry]] = defaultdict(list)
    for row in rows:
        name, weight = row["TimingTag"], _number(row["Weight"] or "0")
        timing = timings.get(name) or (Timing.always(name) if name in ("", ANY) else None)
        if timing is None or weight is None:
            reason = f"timing {name} is not there, or was left out" if timing is None else f"weight {row['Weight']} is no number"
            remarks.append(row.remark(RemarkKind.LEFT_OUT, reason))
            continue
        entries[row["Id"]].append(PlanEntry(row, row["DestinationRatesId"], timing, weight))
    return {name: tuple(these) for name, these in entries.items()}


def _profiles(
    rows: list[Row], plans: Mapping[str, tuple[PlanEntry, ...]], remarks: list[Remark]
) -> dict[tuple[str, str, str], tuple[Activation, ...]]:
    found: dict[tuple[str, str, str], dict[datetime, list[Activation]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        at = _instant(row, remarks)
        if at is not None:
            subjects = tuple(subject for subject in row["RatesFallbackSubject"].split(";") if subject)
            found[row["Tenant"], row["Category"], row["Subject"]][at].append(Activation(row, at, row["RatingPlanId"], subjects))
    return {key: tuple(_taken(by_instant[at], plans, remarks) for at in sorted(by_instant)) for key, by_instant in found.items()}


def _taken(at_once: list[Activation], plans: Mapping[str, tuple[PlanEntry, ...]], remarks: list[Remark]) -> Activation:
    """Return the profile that holds of those of one subject that begin at one instant: the last one whose plan is there."""
    taken = [activation for activation in at_once if activation.plan in plans][-1:] or at_once[-1:]
    also = f"begins at the same instant as {taken[0].plan} on line {taken[0].row.line}, which is taken"
    remarks += [
        activation.row.remark(
            RemarkKind.LEFT_OUT, f"plan {activation.plan} {also}" if activation.plan in plans else plan_is_not_there(activation.plan)
        )
        for activation in at_once
        if activation is not taken[0]
    ]
    return taken[0]


def plan_is_not_there(plan: str) -> str:
    """Return the words about a profile whose plan has no rows that could be read."""
    return f"rating plan {plan} is not there"


def _instant(row: Row, remarks: list[Remark]) -> datetime | None:
    text = row["ActivationTime"]
    if not text:
        return FIRST_INSTANT
    if text in ("*any", "*now", "*asap", "*unlimited"):
        remarks.append(row.remark(RemarkKind.ASSUMED, f"in force from {text} is read as from {FIRST_INSTANT:%Y-%m-%d} on"))
        return FIRST_INSTANT
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        remarks.append(row.remark(RemarkKind.LEFT_OUT, f"activation time {text} is no instant"))
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _number(text: str) -> Decimal | None:
    """A number that a rate book can say too."""
    try:
        return parse_number(f"{parse_decimal(text, ENTERED):f}").to_decimal()
    except (InvalidDecimal, Unreadable):
        return None


def _length(text: str) -> Length | None:
    parts = _DURATION.fullmatch(text)
    count = _number(parts[1]) if parts is not None else None
    if parts is None or count is None:
        return None
    count *= _SECONDS[parts[2] or "s"]
    if count.normalize().as_tuple().exponent < -INCREMENT_DECIMALS_MAX:  # type: ignore[operator]
        return None
    return Length(count, parts[2] is not None)


def _at_least_one(length: Length) -> Length:
    return length if length.count else Length(Decimal(1), length.has_unit)

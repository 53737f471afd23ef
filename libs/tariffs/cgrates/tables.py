"""The CSV files of a CGRateS tariff plan as rows of named columns.

The columns are named by a header, which is commented out as a rule, or else known by their place. A leading TPid, a LoadId, a
Direction and columns at the end that are empty come and go between versions.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class RemarkKind(StrEnum):
    """How much of it came over."""

    LEFT_OUT = "left out"
    DIFFERS = "differs"
    ASSUMED = "assumed"


@dataclass(frozen=True, order=True)
class Remark:
    """What did not come over as it stands, and where it stands; line 0 is the file as a whole, `further` are more lines of the kind."""

    file: str
    line: int
    kind: RemarkKind
    words: str
    further: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        more = f" (and lines {_ranges(self.further)})" if self.further else ""
        return f"{where}: {self.kind}: {self.words}{more}"


@dataclass(frozen=True)
class Row:
    """One line; columns that it lacks are empty."""

    file: str
    line: int
    columns: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.columns.get(column, "")

    @property
    def place(self) -> tuple[str, int]:
        """Return its file and line."""
        return self.file, self.line

    def remark(self, kind: RemarkKind, words: str) -> Remark:
        """A remark on this line."""
        return Remark(self.file, self.line, kind, words)


@dataclass(frozen=True)
class Table:
    """Columns in their usual order; of these the first `required` must be there."""

    columns: tuple[str, ...]
    required: int


FILES = {
    "Timings.csv": Table(("Id", "Years", "Months", "MonthDays", "WeekDays", "Time"), 6),
    "Destinations.csv": Table(("Id", "Prefix"), 2),
    "Rates.csv": Table(("Id", "ConnectFee", "Rate", "RateUnit", "RateIncrement", "GroupIntervalStart"), 5),
    "DestinationRates.csv": Table(
        ("Id", "DestinationId", "RatesTag", "RoundingMethod", "RoundingDecimals", "MaxCost", "MaxCostStrategy"), 3
    ),
    "RatingPlans.csv": Table(("Id", "DestinationRatesId", "TimingTag", "Weight"), 3),
    "RatingProfiles.csv": Table(("Tenant", "Category", "Subject", "ActivationTime", "RatingPlanId", "RatesFallbackSubject"), 5),
}
# The names that columns had in other versions.
ALIASES = {
    "tag": "Id",
    "destinationstag": "DestinationId",
    "destinationtag": "DestinationId",
    "destinationsid": "DestinationId",
    "ratestag": "RatesTag",
    "ratesid": "RatesTag",
    "rateid": "RatesTag",
    "destinationratestag": "DestinationRatesId",
    "timingid": "TimingTag",
    "timingsid": "TimingTag",
    "tor": "Category",
    "ratingplantag": "RatingPlanId",
    "destinationratetimingtag": "RatingPlanId",
    "fallbacksubject": "RatesFallbackSubject",
    "fallbacksubjects": "RatesFallbackSubject",
}
IGNORED = frozenset({"TPid", "LoadId", "Direction", "CdrStatQueueIds"})
_KNOWN = {name.lower(): name for table in FILES.values() for name in table.columns} | {name.lower(): name for name in IGNORED} | ALIASES
_ACTIVATION = re.compile(r"\d{4}-\d\d-\d\d|\*(now|asap|unlimited)")


def read_table(file: str, text: str, remarks: list[Remark]) -> list[Row]:
    """The rows of a file; lines that cannot be read are remarked."""
    table = FILES[file]
    header: tuple[str, ...] = ()
    rows: list[Row] = []
    for line, cells in enumerate(csv.reader(text.lstrip("\ufeff").splitlines()), 1):
        values = [cell.strip() for cell in cells]
        if not any(values):
            continue
        named = _header(values, table)
        if named or values[0].startswith("#"):
            header = named or header
            continue
        columns = dict(zip(header, values, strict=False)) if header else _by_place(file, table, values)
        row = Row(file, line, {name: value for name, value in columns.items() if name not in IGNORED})
        missing = [name for name in table.columns[: table.required] if name not in row.columns]
        if missing:
            remarks.append(row.remark(RemarkKind.LEFT_OUT, f"the line lacks {', '.join(missing)}"))
            continue
        remarks += [
            row.remark(RemarkKind.LEFT_OUT, f"column {name} ({value}) is not known")
            for name, value in row.columns.items()
            if name not in table.columns and value
        ]
        rows.append(row)
    if not rows:
        remarks.append(Remark(file, 0, RemarkKind.LEFT_OUT, "the file is not there, or has no lines"))
    return rows


def _header(values: list[str], table: Table) -> tuple[str, ...]:
    """The column names of a header line; empty for any other line."""
    names = tuple(_column(value) for value in values)
    return names if len(set(names) & set(table.columns)) >= 2 else ()


def _column(text: str) -> str:
    name = re.sub(r"\[\d+\]$", "", text.lstrip("#").strip())
    return _KNOWN.get(name.lower(), name)


def _by_place(file: str, table: Table, values: list[str]) -> dict[str, str]:
    leading = max(0, len(values) - len(table.columns))
    if file == "RatingProfiles.csv":
        dated = [place for place, value in enumerate(values) if _ACTIVATION.match(value) and place >= 3]
        leading = dated[0] - 3 if dated else leading
    elif leading > 1:
        leading = 0
    return dict(zip(table.columns, values[leading:], strict=False))


def _ranges(lines: tuple[int, ...]) -> str:
    """Lines in words: those that follow one another as a range."""
    runs: list[list[int]] = []
    for line in lines:
        if runs and runs[-1][-1] == line - 1:
            runs[-1].append(line)
        else:
            runs.append([line])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)

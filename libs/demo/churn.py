"""BigML's telecom churn data set: per customer and band, the minutes, the number of calls and the published charge.

Minutes have one decimal, so a band is a whole number of seconds (a tenth of a minute is six). Columns that billing has no
use for are not read. Faults name the file and the line.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import islice
from pathlib import Path

from libs.demo.states import STATE_ZONES


class ChurnDataFault(ValueError):
    """The file is not of the data set's format; says where and why."""


class Band(StrEnum):
    """What the data set tells apart; the three of domestic calls by when they start, international by whom they reach."""

    DAY = "day"
    EVENING = "evening"
    NIGHT = "night"
    INTERNATIONAL = "international"


COLUMN_WORDS = {Band.DAY: "day", Band.EVENING: "eve", Band.NIGHT: "night", Band.INTERNATIONAL: "intl"}
# More than the minutes of a year; beyond it the file is damaged.
NUMBER_MAX = 1_000_000
PRICE_IDS = {band: f"voice-{band}" for band in Band}


@dataclass(frozen=True)
class Traffic:
    """What a customer did in one band, and what the operator charged for it in USD. No calls means no seconds."""

    call_count: int
    seconds: int
    published_charge: Decimal


@dataclass(frozen=True)
class ChurnCustomer:
    """One row; `number` counts the rows from 1."""

    number: int
    state: str
    area_code: str
    traffic: Mapping[Band, Traffic]

    @property
    def time_zone(self) -> str:
        """Where the customer's day begins and ends."""
        return STATE_ZONES[self.state]

    @property
    def call_count(self) -> int:
        """Calls of all bands."""
        return sum(traffic.call_count for traffic in self.traffic.values())


def read_customers(path: Path, count_max: int | None = None) -> list[ChurnCustomer]:
    """The first `count_max` rows, or all. Raises ChurnDataFault, or OSError when the file cannot be read."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        rows = csv.DictReader(file, delimiter=";" if ";" in header else ",")
        try:
            customers = [
                _customer(number, f"{path.name}, line {rows.line_num}", row) for number, row in enumerate(islice(rows, count_max), start=1)
            ]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ChurnDataFault(f"{path.name} is not readable as CSV: {error}") from error
    if not customers:
        raise ChurnDataFault(f"{path.name} holds no customers")
    return customers


def _customer(number: int, where: str, row: Mapping[str, str | None]) -> ChurnCustomer:
    state, area_code = _text(row, "State", where), _text(row, "Area code", where)
    if state not in STATE_ZONES:
        raise ChurnDataFault(f"{where}: {state!r} is no US state")
    if len(area_code) != 3 or not area_code.isdecimal() or area_code[0] in "01":
        raise ChurnDataFault(f"{where}: {area_code!r} is no US area code")
    return ChurnCustomer(number, state, area_code, {band: _traffic(band, row, where) for band in Band})


def _traffic(band: Band, row: Mapping[str, str | None], where: str) -> Traffic:
    minutes, calls, charge = (_decimal(row, f"Total {COLUMN_WORDS[band]} {what}", where) for what in ("minutes", "calls", "charge"))
    seconds = minutes * 60
    if seconds != int(seconds) or calls != int(calls):
        raise ChurnDataFault(f"{where}: {minutes} minutes in {calls} {band} calls are not whole seconds in whole calls")
    if seconds and not calls:
        raise ChurnDataFault(f"{where}: {minutes} {band} minutes in no calls")
    return Traffic(int(calls), int(seconds), charge)


def _decimal(row: Mapping[str, str | None], column: str, where: str) -> Decimal:
    written = _text(row, column, where)
    try:
        value = Decimal(written)
    except InvalidOperation:
        raise ChurnDataFault(f"{where}: {column} {written!r} is no number") from None
    if not value.is_finite() or not 0 <= value <= NUMBER_MAX:
        raise ChurnDataFault(f"{where}: {column} {written!r} is not between 0 and {NUMBER_MAX}")
    return value


def _text(row: Mapping[str, str | None], column: str, where: str) -> str:
    value = row.get(column)
    if value is None:
        raise ChurnDataFault(f"{where}: no column {column!r}")
    return value.strip()

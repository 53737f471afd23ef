"""A usage price as a rate book says it: what it matches, and what it asks by one of the models."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.contracts import ChargeTiers, LineRounding
from libs.money import RoundingMode
from libs.pricing.exact_number import ExactNumber
from libs.pricing.faults import Place
from libs.pricing.increments import ONE_BY_ONE, Increments
from libs.pricing.roaming import AT_HOME, Roaming
from libs.pricing.time_band import TimeBand
from libs.pricing.unit import UnitQuantity

ZERO = ExactNumber(0)


@dataclass(frozen=True, slots=True)
class UsageMatch:
    """Which usages a price is for. `called` and `networks` are prefixes; empty means any, or none at all.

    `characteristics` are all to be there, each with one of its values. `home_networks` are those of the book, None in a book of the
    first format; where it has them, `roaming` says whether a price without `networks` is for usage at home, abroad or both.
    """

    usage_type: str
    called: tuple[str, ...] = ()
    time_band: TimeBand | None = None
    networks: tuple[str, ...] = ()
    characteristics: Mapping[str, frozenset[str]] = field(default_factory=dict)
    home_networks: tuple[str, ...] | None = None
    roaming: Roaming = Roaming.EXCLUDED

    @property
    def places(self) -> tuple[str, ...]:
        """Return the codes of its networks, or whether it is for usage at home or abroad; a single empty code means anywhere."""
        if self.networks:
            return self.networks
        return ("",) if self.home_networks is None else self.roaming.places

    @property
    def is_abroad(self) -> bool | None:
        """Return whether it is for usage abroad alone; None in a book of the first format, which does not tell them apart."""
        return None if self.home_networks is None else AT_HOME not in self.places


@dataclass(frozen=True, slots=True)
class Rate:
    """`amount` for `per` units of the charged quantity."""

    amount: ExactNumber
    per: UnitQuantity


@dataclass(frozen=True, slots=True)
class Step:
    """What one record costs from a quantity on, up to the next step: rounded up to increments of its own."""

    start: ExactNumber
    rate: Rate
    increments: Increments


@dataclass(frozen=True, slots=True)
class Tiers:
    """A graduated, volume or package price: of the month's quantity, or of each record's. `late_restarts`: late usage counts anew."""

    terms: ChargeTiers
    unit: str
    counted_by_record: bool
    late_restarts: bool


Model = Rate | tuple[Step, ...] | Tiers


@dataclass(frozen=True, slots=True)
class RecordRounding:
    """The amount of each record is rounded to so many decimals."""

    mode: RoundingMode
    decimals: int


@dataclass(frozen=True, slots=True)
class UsagePrice:
    """`setup_fee` is asked once for each usage with a charged quantity; `minimum` and `maximum` bound what it costs in all.

    What comes before `free_first` is not charged. `splits`: a usage that begins at this price is priced in parts where prices change.
    `record_rounding` is of each usage, `line_rounding` of the bill line where the book says another than half up to the minor unit.
    """

    id: str
    description: str
    match: UsageMatch
    model: Model
    place: Place
    increments: Increments = ONE_BY_ONE
    setup_fee: ExactNumber = ZERO
    free_first: ExactNumber = ZERO
    minimum: ExactNumber | None = None
    maximum: ExactNumber | None = None
    splits: bool = False
    record_rounding: RecordRounding | None = None
    line_rounding: LineRounding | None = None
    tax_category: str | None = None

    @property
    def unit(self) -> str:
        """What usage of this price is counted in."""
        if isinstance(self.model, Rate):
            return self.model.per.unit
        return self.model.unit if isinstance(self.model, Tiers) else self.model[0].rate.per.unit

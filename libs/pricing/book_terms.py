"""What the parts of an offering are read with: the reader that notes faults, and what the book declares for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.pricing.faults import Place
from libs.pricing.reader import Reader
from libs.pricing.rounding_reader import DEFAULT_ROUNDING, Rounding
from libs.pricing.time_band import TimeBand
from libs.pricing.yaml_source import Node


@dataclass(frozen=True)
class BookTerms:
    """One book's names. `declared` are the price ids of one offering so far: make a new one of these for each offering."""

    reader: Reader
    rate_book: str
    currency: str
    zones: Mapping[str, tuple[str, ...]]
    bands: Mapping[str, TimeBand]
    roaming_zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holidays: Mapping[str, frozenset[int]] = field(default_factory=dict)
    rounding: Rounding = DEFAULT_ROUNDING
    splits: bool = False
    is_tax_included: bool = False
    # None in a book of the first format.
    home_networks: tuple[str, ...] | None = None
    declared: dict[str, Place] = field(default_factory=dict)

    def declare(self, node: Node | None, what: str = "price") -> str:
        """The id that a part of the offering gives itself; refused when another part has it. Empty when it cannot be read."""
        id = self.reader.identifier(node)
        if node is not None and id:
            first = self.declared.setdefault(id, node.place)
            if first != node.place:
                self.reader.refuse(node, f"{what} id {id!r} is taken on line {first.line}", f"give each {what} of an offering its own id")
        return id

"""A price taken apart: what it asks in each of its steps or tiers, so that the same ones of two books can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from libs.tariffs.book_document import as_list
from libs.tariffs.quantities import canonical, number, quantity
from libs.tariffs.words import MODELS


@dataclass(frozen=True)
class ModelPart:
    """`label` says which part it is, for people, and is empty where there is only one; `place` the same in a form to compare."""

    label: str
    place: Any
    terms: Mapping[str, Any]


def model_parts(terms: Mapping[str, Any]) -> tuple[str, list[ModelPart]]:
    """The model of a price, and its parts; ("", []) for what has none."""
    model = next((name for name in MODELS if name in terms), "")
    asked = terms.get(model)
    match model:
        case "price":
            return model, [ModelPart("", None, {"price": asked})]
        case "steps":
            return model, [_part(step, "from", f"from {step.get('from', '0')} on") for step in as_list(asked)]
        case "graduated" | "volume":
            return model, [_part(tier, "up_to", f"up to {tier['up_to']}" if "up_to" in tier else "beyond that") for tier in as_list(asked)]
        case "package":
            assert isinstance(asked, Mapping)
            return model, [ModelPart("", canonical(asked.get("per")), {key: value for key, value in asked.items() if key != "per"})]
        case "percentage":
            return model, [ModelPart("", None, asked or {})]
    return "", []


def unit_price(terms: Any) -> tuple[Fraction, str, Fraction] | None:
    """The amount for one unit that usage counts, that unit, and for how many of them the price is stated."""
    if not isinstance(terms, Mapping):
        return None
    amount, per = number(terms.get("amount")), quantity(terms.get("per"))
    return (amount / per[0], per[1], per[0]) if amount is not None and per is not None else None


def _part(terms: Mapping[str, Any], bound: str, label: str) -> ModelPart:
    start = terms.get(bound)
    place = Fraction(0) if start is not None and number(start) == 0 else canonical(start)
    return ModelPart(label, _count(place), {key: value for key, value in terms.items() if key != bound})


def _count(place: Any) -> Any:
    """A quantity without its unit, which is that of the price: 60 and 60 s are the same place."""
    return place[0] if isinstance(place, tuple) else place

"""Every worked case of tests/data/pricing_cases.yaml is met exactly. Its translation stands in tests/unit/pricing_cases."""

import importlib
import pkgutil
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit import pricing_cases
from tests.unit.pricing_cases import IN_WORDS, Case, Translation

FILE = Path(__file__).parents[1] / "data" / "pricing_cases.yaml"
# Results that do not terminate are given with so many decimals.
DECIMALS_OF_ENDLESS_RESULTS = 10


class ExactLoader(yaml.SafeLoader):
    """Reads 0.3 as the decimal 0.3, never as a float."""


ExactLoader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(loader.construct_scalar(node)))  # type: ignore[arg-type]
CASES: list[Case] = yaml.load(FILE.read_text(), Loader=ExactLoader)


def translations() -> dict[str, Translation]:
    found: dict[str, Translation] = {}
    for module in pkgutil.iter_modules(pricing_cases.__path__):
        theirs: dict[str, Translation] = importlib.import_module(f"{pricing_cases.__name__}.{module.name}").CASES
        assert not found.keys() & theirs.keys(), f"translated twice: {found.keys() & theirs.keys()}"
        found |= theirs
    return found


TRANSLATIONS = translations()


def test_all_cases_are_there() -> None:
    assert len(CASES) == 61
    assert len({case["id"] for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_worked_case_is_met_exactly(case: Case) -> None:
    assert case["id"] in TRANSLATIONS, f"{case['id']} has no translation in tests/unit/pricing_cases"
    came_out = TRANSLATIONS[case["id"]](case)
    if came_out is IN_WORDS:
        return
    assert as_given(came_out, case["expect"]) == case["expect"]


def as_given(value: Any, expected: Any) -> Any:
    """What came out, in the shape and with the decimals of what was expected."""
    if isinstance(expected, dict):
        return {key: as_given(value[key], expected.get(key)) for key in value}
    if isinstance(expected, list) and isinstance(value, list | tuple):
        return [as_given(part, expected[position] if position < len(expected) else None) for position, part in enumerate(value)]
    assert not isinstance(value, float), f"{value} is a float"
    if isinstance(value, Fraction):
        return to_decimal(value)
    return value


def to_decimal(value: Fraction) -> Decimal:
    """Exact where it ends within so many decimals, else rounded half up to them: 45.1612903226 stands for 100 * 14/31."""
    with localcontext(prec=60, rounding=ROUND_HALF_UP):
        return (Decimal(value.numerator) / Decimal(value.denominator)).quantize(Decimal(1).scaleb(-DECIMALS_OF_ENDLESS_RESULTS))

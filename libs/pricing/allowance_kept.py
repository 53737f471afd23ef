"""What allowances paid for a usage, when it is priced anew: it pays for as much of the new price, and nothing is drawn or given back."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from msgspec.structs import replace as changed

from libs.contracts import AllowanceUse
from libs.pricing.allowance import Allowance
from libs.pricing.compiled_price import CompiledPrice, PricedUsage


def less_allowances(uses: Sequence[AllowanceUse], terms: Mapping[str, Allowance], priced: PricedUsage) -> PricedUsage:
    """What is left to pay. `terms` are those by which allowances paid, by id: they say what was taken, seconds or money."""
    quantities = [use for use in uses if not terms[use.allowance_id].is_money]
    money = [use for use in uses if terms[use.allowance_id].is_money]
    covered = _taken(quantities, terms, priced, [part.steps for part in priced.parts])
    if any(covered):
        priced = priced.covered(covered)
    paid = _taken(money, terms, priced, [part.numerator for part in priced.parts])
    if any(paid):
        parts = [changed(part, numerator=part.numerator - amount) for part, amount in zip(priced.parts, paid, strict=True)]
        priced = changed(parts[0], others=tuple(parts[1:]))
    return priced


def _taken(uses: Sequence[AllowanceUse], terms: Mapping[str, Allowance], priced: PricedUsage, wanted: Sequence[int]) -> list[int]:
    """How many steps (numerators, where allowances are money) of each part what was taken then pays for now."""
    taken = [0] * len(wanted)
    for use in uses:
        left = Fraction(use.quantity) / use.denominator
        allowance = terms[use.allowance_id]
        fitting = [position for position, part in enumerate(priced.parts) if allowance.covers_price(part.price)]
        for position in fitting or range(len(wanted)):
            price = priced.parts[position].price
            if allowance.pays_whole(price):
                steps, used = (wanted[position] - taken[position], Fraction(1)) if left >= 1 else (0, Fraction(0))
            else:
                step = _step(allowance, price)
                steps = min(wanted[position] - taken[position], int(left / step))
                used = steps * step
            taken[position] += steps
            left -= used
    return taken


def _step(allowance: Allowance, price: CompiledPrice) -> Fraction:
    if allowance.factors and price.usage_type not in allowance.factors:
        return Fraction(1, 10**price.decimals)
    return allowance.taken_by_step(price)

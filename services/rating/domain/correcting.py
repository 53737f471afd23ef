"""Where re-rated usage counts: in its charge while that is open; once it was cut, in what corrects it on the next bill.

A correction is a charge of kind adjustment, one for each price, month and sequence, with the true period. Where a price counts the
month, quantities move instead of amounts, and what they cost depends on all of the month: there late usage and corrections go
on counting from what was cut, in the charge that is open now. Only where late usage counts anew does a correction stand alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from libs.contracts import Charge, ChargeKind, ChargeState
from libs.contracts.fact import TEXT_LENGTH_MAX
from libs.periods import Period
from libs.pricing import CompiledPrice
from services.rating.domain.charge_ids import terms_of_charge, terms_of_price, usage_charge_id
from services.rating.domain.deciding import UsageCharge
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import BillingMonth

CORRECTED = "corrected"
NOTHING = Decimal(0)
# What a correction has from the charge that it corrects.
TERMS = {
    *("account_id", "product_id", "product_name", "offering_id", "price_id", "usage_type", "unit", "currency"),
    *("period", "line_rounding", "tax_category", "is_tax_included"),
}


@dataclass(frozen=True, slots=True)
class Correction:
    """What corrects cut charges, as it is opened. Its tiers go on from what the `continued_ids` counted."""

    charge: Charge
    continued_ids: tuple[str, ...] = ()


# A charge that is there and open, one that counts usage and may have to be opened, or a correction.
Place = Charge | UsageCharge | Correction


def place_id(place: Place) -> str:
    """The charge that counts there."""
    return place.charge.id if isinstance(place, Correction) else place.id


def is_cut(charges: Iterable[Charge]) -> bool:
    """Whether usage of these charges is corrected on the next bill: one of them was cut, or is itself a correction."""
    return any(charge.state is not ChargeState.OPEN or charge.kind is ChargeKind.ADJUSTMENT for charge in charges)


def correction_at_price(
    account: Account, product: Product, price: CompiledPrice, month: BillingMonth, now: datetime, corrected: int | None = None
) -> Correction:
    """What corrects a month at a price, or, where late usage counts anew, what the sequence `corrected` of it counted."""
    sequence = account.cuts.get(month.label, 0)
    terms = terms_of_price(price, product.later_offering)
    continued: tuple[str, ...] = ()
    if corrected is not None:
        continued = _counted_so_far((account.id, product.id, price.price_id), month, corrected, sequence, terms)
        terms = f"{corrected}.{terms}"
    return Correction(
        Charge(
            id=_correction_id(account.id, product.id, price.price_id, month, sequence, terms),
            account_id=account.id,
            product_id=product.id,
            product_name=product.name,
            offering_id=product.offering_id,
            price_id=price.price_id,
            kind=ChargeKind.ADJUSTMENT,
            description=_correction_of(price.description),
            usage_type=price.usage_type,
            unit=price.unit,
            currency=price.currency,
            period=Period(start=month.start, end=month.end),
            sequence=sequence if corrected is None else corrected,
            tiers=price.tiers,
            line_rounding=price.line_rounding,
            tax_category=price.tax_category,
            is_tax_included=price.is_tax_included,
            opened_at=now,
            updated_at=now,
        ),
        continued,
    )


def correction_of_cut(charge: Charge, product: Product, account: Account, month: BillingMonth, now: datetime) -> Correction:
    """What corrects a charge of the product that was cut, by the terms under which it was; its tiers go on from what it counted."""
    sequence = account.cuts.get(month.label, 0)
    terms = terms_of_charge(charge, product.later_offering)
    tiers, corrected = charge.tiers, sequence
    continued: tuple[str, ...] = ()
    if tiers is not None:
        # Corrections of one charge are counted one after the other, so they keep its sequence.
        corrected = charge.sequence
        continued = _counted_so_far((account.id, charge.product_id, charge.price_id), month, corrected, sequence, terms)
        terms = f"{corrected}.{terms}"
        if charge.kind is ChargeKind.ADJUSTMENT:
            tiers = tiers.model_copy(update={"counted_before": NOTHING, "usage_count_before": None})
    opened = Charge(
        **charge.model_dump(include=TERMS),
        id=_correction_id(account.id, charge.product_id, charge.price_id, month, sequence, terms),
        kind=ChargeKind.ADJUSTMENT,
        description=_correction_of(charge.description),
        sequence=corrected,
        tiers=tiers,
        opened_at=now,
        updated_at=now,
    )
    return Correction(opened, continued)


def product_of(charge: Charge, known: Product | None, offering_id: str) -> Product:
    """The product of a charge, under the offering that its usage is priced by; as the charge tells it when it pays elsewhere now."""
    if known is not None:
        return known if known.offering_id == offering_id else replace(known, offering_id=offering_id)
    return Product(charge.product_id, charge.account_id, offering_id, charge.product_name, "", charge.period.start)


def _counted_so_far(owner: tuple[str, str, str], month: BillingMonth, corrected: int, sequence: int, terms: str) -> tuple[str, ...]:
    """The charge of a sequence and the corrections of it that were cut."""
    between = (_correction_id(*owner, month, each, f"{corrected}.{terms}") for each in range(corrected + 1, sequence))
    return usage_charge_id(*owner, month.label, corrected, terms), *between


def _correction_id(account_id: str, product_id: str, price_id: str, month: BillingMonth, sequence: int, terms: str) -> str:
    return usage_charge_id(account_id, product_id, price_id, month.label, sequence, f"{CORRECTED}.{terms}" if terms else CORRECTED)


def _correction_of(description: str) -> str:
    told = description if description.startswith("Correction: ") else f"Correction: {description}"
    return told[:TEXT_LENGTH_MAX]

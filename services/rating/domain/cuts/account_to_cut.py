"""An account as a cut finds it: all that the decision of the cut depends on, besides the rate books."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from libs.contracts import Charge, ChargeKind, PeriodCut, RunType
from services.rating.domain.fees import FeeHistory
from services.rating.domain.holdings import Account, Product

FEES = (ChargeKind.RECURRING, ChargeKind.ONE_TIME)


@dataclass(frozen=True, slots=True)
class AccountToCut:
    """`unbilled` are the open and the returned charges. `closed_before` are those that earlier cuts closed, where the cut adjusts."""

    account: Account
    unbilled: Sequence[Charge]
    products: Sequence[Product]
    fees: FeeHistory = field(default_factory=FeeHistory)
    closed_before: Sequence[Charge] = ()

    def due(self, cut: PeriodCut) -> list[Charge]:
        """Return the charges that the cut closes."""
        return [charge for charge in self.unbilled if _is_due(charge, cut)]


def products_at(cut: PeriodCut, products: Sequence[Product]) -> Sequence[Product]:
    """Return the products as the cut charges them. Where the account was closed, those without an end of their own end with it."""
    return products if cut.account_closed_at is None else ending_with(cut.account_closed_at, products)


def ending_with(closed_at: datetime, products: Iterable[Product]) -> list[Product]:
    """Return the products of an account that was closed then."""
    return [replace(product, ended_at=closed_at) if product.ended_at is None else product for product in products]


def _is_due(charge: Charge, cut: PeriodCut) -> bool:
    # A fee that was charged in advance of its period, and returned, does not wait for that period.
    return cut.run_type is RunType.OFF_CYCLE or cut.period is None or charge.kind in FEES or charge.period.start < cut.period.end

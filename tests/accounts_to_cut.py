"""Accounts as a store without a database finds them for a cut: no charge is read that the bounds of the queries leave out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from libs.contracts import UNBILLED, Charge, ChargeKind, PeriodCut
from libs.periods import Period
from libs.pricing import RateBooks
from services.rating.domain.cuts import AccountToCut, adjusted_since, products_at
from services.rating.domain.fees import CORRECTED_BACK, ChargedAs, FeeHistory, changed_products, fee_reach, products_to_correct
from services.rating.domain.holdings import CHARGED, Account, Product


@dataclass(frozen=True)
class Stored:
    """What cuts of an account left behind: its charges, the products they met, how they charged them, and the periods of its cycle."""

    account: Account
    charges: Collection[Charge]
    met: Collection[str]
    charged_as: Mapping[str, ChargedAs]
    periods: Sequence[Period] = ()

    def to_cut(self, products: Sequence[Product], cut: PeriodCut, books: RateBooks, now: datetime) -> AccountToCut:
        """The account with these products, as the cut finds it."""
        new = [product.id for product in products if product.id not in self.met and product.status in CHARGED]
        unbilled = [charge for charge in self.charges if charge.state in UNBILLED]
        changed = changed_products(self.account, products_at(cut, products), books, self.charged_as) if cut.period else {}
        found = AccountToCut(self.account, unbilled, products, FeeHistory(frozenset(new), self.charged_as, changed))
        if cut.period is not None:
            found = replace(found, fees=self._fees(found, cut, cut.period, books))
        since = adjusted_since(found, cut, books, now)
        if since is None:
            return found
        return replace(
            found, closed_before=[charge for charge in self.charges if charge.state not in UNBILLED and charge.period.end > since]
        )

    def _fees(self, found: AccountToCut, cut: PeriodCut, billed: Period, books: RateBooks) -> FeeHistory:
        products = products_at(cut, found.products)
        reach = fee_reach(self.account, products, billed, books, found.fees)
        ids = {
            *(charge.id for charge in self._of_kind(ChargeKind.RECURRING) if charge.period.end > reach.recurring_since),
            *(charge.id for charge in self._of_kind(ChargeKind.ONE_TIME) if charge.period.end > reach.one_time_since),
        }
        fees = replace(found.fees, charged_ids=ids)
        if not products_to_correct(self.account, products, billed, fees):
            return fees
        assert reach.is_deep
        since = billed.start - CORRECTED_BACK
        charges = [charge for charge in self._of_kind(ChargeKind.RECURRING) if charge.period.end > since or charge.corrected_from]
        return replace(fees, charges=charges, periods_cut=self.periods)

    def _of_kind(self, kind: ChargeKind) -> Iterable[Charge]:
        return (charge for charge in self.charges if charge.kind is kind)

"""Cuts of one account's cycle, one after the other: each is decided as rating decides it, on what those before it left behind."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from libs.contracts import Charge, ChargeKind, CutRefused, PeriodCut, RunType
from libs.money import sum_fractions
from libs.periods import Period
from libs.pricing import RateBooks
from services.rating.domain.charged_as import ChargedAs
from services.rating.domain.cutting import Closing, Cutter, Owed
from services.rating.domain.holdings import CHARGED, Account, Product
from services.rating.domain.paid_fees import counts_since

CUT_AFTER = timedelta(hours=3)


class Cycles:
    """What the cuts of an account have charged, and what rating keeps of it. There is no usage.

    `looked_at` are the periods whose cuts asked for what was charged of fees.
    """

    def __init__(self, books: RateBooks, account: Account) -> None:
        self.books = books
        self.account = account
        self.charges: dict[str, Charge] = {}
        self.periods: list[Period] = []
        self.met: set[str] = set()
        self.known: dict[str, ChargedAs] = {}
        self.looked_at: list[Period] = []

    def decide(self, period: Period, products: Sequence[Product]) -> Closing | CutRefused:
        """The cut of a period, with what is known of the products by then."""
        at = period.end + CUT_AFTER
        id = f"cut-{len(self.periods)}"
        cut = PeriodCut(id=id, account_id=self.account.id, run_type=RunType.ON_CYCLE, period=period, cause_id=id, requested_at=at)
        newcomers = [product for product in products if product.id not in self.met and product.status in CHARGED]
        owed, cutter = Owed(self.account, (), products, newcomers, self.known, self.periods), Cutter(self.books, at)
        since = cutter.fees_corrected_since(cut, owed)
        if since is not None:
            self.looked_at.append(period)
            owed = cutter.reckoned(cut, owed, [charge for charge in self._fees() if counts_since(charge, since)])
        charged = {id: sum_fractions(self.charges[id].sums) for id in cutter.fee_ids(cut, owed) if id in self.charges}
        closing = cutter.decide(cut, owed, charged)
        if isinstance(closing, Closing):
            self._remember(cut, owed, closing, cutter.known_now(cut, owed))
        return closing

    def _fees(self) -> list[Charge]:
        return [charge for charge in self.charges.values() if charge.kind is ChargeKind.RECURRING]

    def _remember(self, cut: PeriodCut, owed: Owed, closing: Closing, known: dict[str, ChargedAs | None]) -> None:
        made = {charge.id: charge for charge in closing.made}
        assert len(made) == len(closing.made)
        assert not made.keys() & self.charges.keys(), "charged twice"
        self.charges |= made
        self.met |= {product.id for product in owed.newcomers}
        self.known = {id: now for id, now in {**self.known, **known}.items() if now is not None}
        assert cut.period is not None
        self.periods = [*self.periods, cut.period]
        counted = Counter(self.account.cuts) + Counter(closing.month_labels)
        self.account = replace(self.account, cuts=counted, billed_until=max(period.end for period in self.periods))

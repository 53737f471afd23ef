"""Cuts of one account's cycle, one after the other: each is decided as rating decides it, on what those before it left behind."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from libs.contracts import Charge, CutRefused, PeriodCut, RunType
from libs.periods import Period
from libs.pricing import RateBooks
from services.rating.domain.cuts import Closing, decide_cut
from services.rating.domain.fees import ChargedAs, products_to_correct
from services.rating.domain.holdings import Account, Product
from tests.accounts_to_cut import Stored

CUT_AFTER = timedelta(hours=3)


class Cycles:
    """What the cuts of an account have charged, and what rating keeps of it. There is no usage.

    `looked_at` are the periods whose cuts read the charges of fees.
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
        stored = Stored(self.account, self.charges.values(), self.met, self.known, self.periods)
        to_cut = stored.to_cut(products, cut, self.books, at)
        if products_to_correct(self.account, products, period, to_cut.fees):
            self.looked_at.append(period)
        closing = decide_cut(to_cut, cut, self.books, at)
        if isinstance(closing, Closing):
            self._remember(period, closing)
        return closing

    def _remember(self, period: Period, closing: Closing) -> None:
        made = {charge.id: charge for charge in closing.made}
        assert len(made) == len(closing.made)
        assert not made.keys() & self.charges.keys(), "charged twice"
        self.charges |= made
        self.met |= closing.new_products
        self.known = {id: now for id, now in {**self.known, **closing.charged_as}.items() if now is not None}
        self.periods = [*self.periods, period]
        counted = Counter(self.account.cuts) + Counter(closing.month_labels)
        self.account = replace(self.account, cuts=counted, billed_until=max(period.end for period in self.periods))

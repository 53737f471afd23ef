"""Cuts of accounts: what each closes, charges and adjusts."""

from services.rating.domain.cuts.account_to_cut import AccountToCut, products_at
from services.rating.domain.cuts.closing import Closing, close
from services.rating.domain.cuts.decide_cut import adjusted_since, decide_cut, refuse, with_marks
from services.rating.domain.cuts.one_per_account import one_per_account

__all__ = [
    "AccountToCut",
    "Closing",
    "adjusted_since",
    "close",
    "decide_cut",
    "one_per_account",
    "products_at",
    "refuse",
    "with_marks",
]

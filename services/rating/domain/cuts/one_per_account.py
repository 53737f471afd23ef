"""Rounds of cuts, in which each account has one."""

from collections.abc import Iterable

from libs.contracts import PeriodCut


def one_per_account(cuts: Iterable[PeriodCut]) -> list[list[PeriodCut]]:
    """Return rounds in which no account occurs twice, in order per account: each cut sees what the one before it left."""
    rounds: list[dict[str, PeriodCut]] = []
    seen_count: dict[str, int] = {}
    for cut in {cut.id: cut for cut in cuts}.values():
        number = seen_count.get(cut.account_id, 0)
        seen_count[cut.account_id] = number + 1
        if number == len(rounds):
            rounds.append({})
        rounds[number][cut.account_id] = cut
    return [list(one.values()) for one in rounds]

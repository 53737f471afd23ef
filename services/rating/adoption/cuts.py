"""Adopting cuts: each closes the charges that it closed, with the amounts that were published, and makes what it made.

A cut is decided again on what was known then, for the exact amounts behind its lines. What was published has the last word.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from libs.contracts import Charge, ChargeLine, ChargesClosed, ChargeState, CutRefused, PeriodCut
from libs.pricing import RateBooks
from libs.runtime.adoption import Adopted
from services.rating.adoption.known_then import DirectoryThen
from services.rating.cuts import CutStore, CutTerms
from services.rating.domain.cuts import AccountToCut, Closing, decide_cut, one_per_account, with_marks
from services.rating.domain.months import label_at

CUTS_AT_A_TIME = 200


@dataclass(frozen=True)
class PublishedCuts:
    """Decides cuts as they were published. `lost` takes what cannot be restored."""

    published: Mapping[str, ChargesClosed]
    lost: list[str]

    def decide(self, to_cut: AccountToCut | None, cut: PeriodCut, books: RateBooks, now: datetime) -> Closing | CutRefused:
        """Close what the published lines name. What is made for them is taken from the cut decided again where the amount agrees."""
        decided = decide_cut(to_cut, cut, books, now)
        if to_cut is None:
            return decided
        answer = self.published[cut.id]
        unbilled = {charge.id: charge for charge in to_cut.unbilled}
        made_again = {charge.id: charge for charge in decided.made} if isinstance(decided, Closing) else {}
        closed = [self._closed(unbilled[line.charge_id], line, answer) for line in answer.lines if line.charge_id in unbilled]
        made = [self._made(made_again.get(line.charge_id), line, answer, to_cut) for line in answer.lines if line.charge_id not in unbilled]
        starts = {charge.period.start for charge in closed} | ({cut.period.start} if cut.period is not None else set())
        labels = frozenset(label_at(start, to_cut.account.time_zone) for start in starts)
        return with_marks(Closing(answer, tuple(closed), tuple(made), labels), to_cut, cut)

    def _closed(self, charge: Charge, line: ChargeLine, answer: ChargesClosed) -> Charge:
        if charge.usage_count != line.usage_count:
            self.lost.append(
                f"charge {charge.id} was closed with {line.usage_count} usages, and {charge.usage_count} of them were published: "
                "the others are rated again, beside what was billed for them; run `tarifa audit` and correct the account"
            )
        return charge.model_copy(update=_closing(line, answer))

    def _made(self, again: Charge | None, line: ChargeLine, answer: ChargesClosed, to_cut: AccountToCut) -> Charge:
        if again is not None and again.amount == line.amount:
            return again.model_copy(update=_closing(line, answer))
        self.lost.append(f"charge {line.charge_id} has the {line.amount} {answer.currency} that were billed; its exact amount is not known")
        return _charge_of(line, answer, to_cut)


class CutAdoption:
    """Makes cuts as they were published."""

    def __init__(self, cuts: CutStore, directory: DirectoryThen) -> None:
        self._cuts = cuts
        self._directory = directory

    async def adopt(
        self, closed: Sequence[ChargesClosed], books: RateBooks, account_ends: Mapping[str, datetime], returned: set[str], adopted: Adopted
    ) -> None:
        """Make those cuts that are not there; `returned` are the cuts that will never be billed, whose charges go to the next one."""
        for closed_at, together in groupby(closed, key=lambda answer: answer.closed_at):
            answers = {answer.id: answer for answer in together}
            self._directory.then = closed_at
            terms = CutTerms(books, closed_at, PublishedCuts(answers, adopted.lost).decide)
            for round in one_per_account([answer.answered_cut(account_ends.get(answer.id)) for answer in answers.values()]):
                for start in range(0, len(round), CUTS_AT_A_TIME):
                    await self._make(round[start : start + CUTS_AT_A_TIME], terms, returned, adopted)

    async def give_back(self, cut_ids: Iterable[str], at: datetime) -> None:
        """Return the charges of those of these cuts that are there."""
        if ids := sorted(cut_ids):
            await self._cuts.give_back(ids, at)

    async def _make(self, cuts: Sequence[PeriodCut], terms: CutTerms, returned: set[str], adopted: Adopted) -> None:
        there = await self._cuts.known(cut.id for cut in cuts)
        missing = [cut for cut in cuts if cut.id not in there]
        if not missing:
            return
        answers = await self._cuts.make(missing, terms)
        refused = [answer for answer in answers.values() if isinstance(answer, CutRefused)]
        adopted.lost += [f"cut {answer.id} cannot be made again: {answer.reason}" for answer in refused]
        adopted.counts["cuts"] += len(missing) - len(refused)
        await self.give_back(returned & {cut.id for cut in missing}, terms.now)


def _closing(line: ChargeLine, answer: ChargesClosed) -> dict[str, object]:
    return {"state": ChargeState.CLOSED, "cut_id": answer.id, "updated_at": answer.closed_at, "amount": line.amount}


def _charge_of(line: ChargeLine, answer: ChargesClosed, to_cut: AccountToCut) -> Charge:
    """The charge of a line of which nothing else is known."""
    numerator, denominator = line.amount.as_integer_ratio()
    offering = next((product.offering_id for product in to_cut.products if product.id == line.product_id), line.product_id)
    return Charge(
        **{
            **line.model_dump(exclude={"charge_id", "taxes"}),
            "id": line.charge_id,
            "account_id": answer.account_id,
            "offering_id": offering,
            "currency": answer.currency,
            "sequence": 0,
            "sums": {str(denominator): Decimal(numerator)},
            "opened_at": answer.closed_at,
            **_closing(line, answer),
        }
    )

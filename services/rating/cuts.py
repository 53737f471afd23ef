"""Cuts in MongoDB: each is decided once and kept with its lines in `cuts`, so that it answers the same for ever.

A cut that will never be billed is marked `returned_at`, and its charges wait for the next one. A batch of cuts is one transaction with
few round trips. Usage that is added to the same charges makes it conflict. Then it is halved, for a shorter transaction conflicts less.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from bson.errors import BSONError
from pymongo import AsyncMongoClient, InsertOne, UpdateMany, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from libs.contracts import Charge, ChargesClosed, ChargeState, CutRefused, PeriodCut, RunType
from libs.pricing import RateBooks
from libs.runtime import Index, from_document, in_transaction, to_document
from libs.runtime.failures import is_infrastructure, reason_of
from libs.runtime.mongo_errors import error_codes
from services.rating.accounts_to_cut import AccountsToCut
from services.rating.directory import Directory
from services.rating.domain.cuts import AccountToCut, Closing, decide_cut, refuse

INDEXES = (Index("cuts", (("account_id", 1), ("run_type", 1), ("period.start", 1)), "corrections of fees: the months that were cut"),)

WRITE_CONFLICT = 112
REFUSED_BY_MONGODB = (PyMongoError, BSONError)

Answer = ChargesClosed | CutRefused
Outcome = Closing | CutRefused

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CutTerms:
    """The terms of a batch of cuts. `decide` is another function only where published cuts are adopted."""

    books: RateBooks
    now: datetime
    decide: Callable[[AccountToCut | None, PeriodCut, RateBooks, datetime], Outcome] = decide_cut


class CutStore:
    """The collection `cuts`, and the closing and returning side of `charges`."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase, directory: Directory) -> None:
        self._client = client
        self._cuts = store["cuts"]
        self._charges = store["charges"]
        self._accounts = store["accounts"]
        self._directory = directory
        self._accounts_to_cut = AccountsToCut(store, directory)

    async def make(self, cuts: Sequence[PeriodCut], terms: CutTerms) -> dict[str, Answer]:
        """Return the answer of each cut by its id: the earlier one, or a new one, which is stored. One cut per account.

        Several cuts that fail together are halved. One that fails alone is refused with the reason, so that all others go on.
        Raises what the infrastructure raises.
        """
        if len(cuts) == 1:
            return await self._make_alone(cuts[0], terms)
        try:
            async with self._client.start_session() as session, await session.start_transaction():
                return await self._make(cuts, terms, session)
        except REFUSED_BY_MONGODB as error:
            if is_infrastructure(error) and not _is_transient(error):
                raise
        half = len(cuts) // 2
        return {**await self.make(cuts[:half], terms), **await self.make(cuts[half:], terms)}

    async def _make_alone(self, cut: PeriodCut, terms: CutTerms) -> dict[str, Answer]:
        try:
            return await in_transaction(self._client, lambda session: self._make([cut], terms, session))
        except REFUSED_BY_MONGODB as error:
            # Other writers are out of the way after so long, unless it is the account's own charges that conflict.
            if is_infrastructure(error) and not _is_conflict(error):
                raise
            logger.error("cut refused", cut_id=cut.id, account_id=cut.account_id, exc_info=error)
            return {cut.id: refuse(cut, f"{reason_of(error)}: mend what it names, then ask again")}

    async def preview(self, cuts: Sequence[PeriodCut], terms: CutTerms) -> dict[str, Answer]:
        """Return the answer that each cut would have now, by its id. Writes nothing. One cut per account."""
        return _answers(await in_transaction(self._client, lambda session: self._decide(cuts, terms, session)))

    async def known(self, cut_ids: Iterable[str]) -> set[str]:
        """Return those of these cuts that were made."""
        return {document["_id"] async for document in self._cuts.find({"_id": {"$in": list(cut_ids)}}, {"_id": 1})}

    async def give_back(self, cut_ids: Sequence[str], at: datetime) -> None:
        """Return the charges of these cuts to the next cut of their accounts, unless a later cut has closed them already."""

        async def give(session: AsyncClientSession) -> None:
            cuts = self._cuts.find(
                {"_id": {"$in": list(cut_ids)}, "returned_at": {"$exists": False}}, {"lines.charge_id": 1}, session=session
            )
            charges_of = {cut["_id"]: [line["charge_id"] for line in cut["lines"]] async for cut in cuts}
            if not charges_of:
                return
            returned = {"$set": {"state": ChargeState.RETURNED.value, "updated_at": at}}
            await self._charges.bulk_write(
                [
                    UpdateMany({"_id": {"$in": ids}, "state": ChargeState.CLOSED.value, "cut_id": cut_id}, returned)
                    for cut_id, ids in charges_of.items()
                ],
                session=session,
            )
            await self._cuts.update_many({"_id": {"$in": list(charges_of)}}, {"$set": {"returned_at": at}}, session=session)

        await in_transaction(self._client, give)

    async def _make(self, cuts: Sequence[PeriodCut], terms: CutTerms, session: AsyncClientSession) -> dict[str, Answer]:
        found = self._cuts.find({"_id": {"$in": [cut.id for cut in cuts]}}, session=session)
        earlier: dict[str, Answer] = {document["_id"]: from_document(ChargesClosed, document) async for document in found}
        outcomes = await self._decide([cut for cut in cuts if cut.id not in earlier], terms, session)
        await self._write([outcome for outcome in outcomes if isinstance(outcome, Closing)], session)
        return earlier | _answers(outcomes)

    async def _decide(self, cuts: Sequence[PeriodCut], terms: CutTerms, session: AsyncClientSession) -> list[Outcome]:
        if not cuts:
            return []
        accounts = await self._accounts_to_cut.find(cuts, terms.books, terms.now, session)
        return [terms.decide(accounts.get(cut.account_id), cut, terms.books, terms.now) for cut in cuts]

    async def _write(self, closings: Sequence[Closing], session: AsyncClientSession) -> None:
        if not closings:
            return
        charges: list[UpdateOne | InsertOne] = [_close(charge) for closing in closings for charge in closing.closed]
        charges += [InsertOne(to_document(charge)) for closing in closings for charge in closing.made]
        if charges:
            result = await self._charges.bulk_write(charges, ordered=False, session=session)
            closed_count = sum(len(closing.closed) for closing in closings)
            assert result.matched_count == closed_count, f"{closed_count} charges were to be closed, {result.matched_count} were unbilled"
        counts = [_count(closing) for closing in closings if closing.month_labels]
        if counts:
            await self._accounts.bulk_write(counts, ordered=False, session=session)
        await self._cuts.insert_many([to_document(closing.answer) for closing in closings], ordered=False, session=session)
        first_cuts = {product_id: closing.answer.id for closing in closings for product_id in closing.new_products}
        charged_as = {product_id: mark for closing in closings for product_id, mark in closing.charged_as.items()}
        await self._directory.remember_charged(first_cuts, charged_as, session)


def _answers(outcomes: Iterable[Outcome]) -> dict[str, Answer]:
    answers = (outcome.answer if isinstance(outcome, Closing) else outcome for outcome in outcomes)
    return {answer.id: answer for answer in answers}


def _is_transient(error: Exception) -> bool:
    return isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")


def _is_conflict(error: Exception) -> bool:
    """Return whether other writers were in the way, or a second document of one id within the transaction, which MongoDB tells alike."""
    return isinstance(error, OperationFailure) and WRITE_CONFLICT in error_codes(error)


def _close(charge: Charge) -> UpdateOne:
    changed = {
        "state": charge.state.value,
        "amount": charge.amount,
        "cut_id": charge.cut_id,
        "updated_at": charge.updated_at,
    }
    # By id alone, MongoDB's fast path: it was read as unbilled in this transaction, which fails when somebody changed it since.
    return UpdateOne({"_id": charge.id}, {"$set": {**changed, "seal": charge.cut_id}})


def _count(closing: Closing) -> UpdateOne:
    answer = closing.answer
    counted: dict[str, Any] = {"$inc": {f"cuts.{label}": 1 for label in sorted(closing.month_labels)}}
    if answer.run_type is RunType.ON_CYCLE:
        counted["$max"] = {"billed_until": answer.period.end}
    return UpdateOne({"_id": answer.account_id}, counted)

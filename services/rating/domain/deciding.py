"""The decision about a batch of usages: each is rated, rejected, or answered as it was before.

Pure. What was decided before comes in as `earlier`; a repeat within the batch is a repeat like any other.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace as changed

from libs.contracts import AllowanceUse, RatedPart, RejectionReason, UsageRated, UsageReceived, UsageRejected
from libs.pricing import CompiledPrice, PricedUsage, RateBooks, RejectedUsage
from services.rating.domain.charge_ids import terms_of_price, usage_charge_id
from services.rating.domain.holdings import Account, Holding, Holdings, Product, holder_at
from services.rating.domain.limits import UsageLimits, fault_of
from services.rating.domain.months import BillingMonth, BillingMonths
from services.rating.domain.suspense import reject, reject_conflicting
from services.rating.domain.waiting import MENDED_BY_BOOKS, account_key, identifier_keys, offering_key

DISCARD = "send it correctly under a new id, and discard this one"
# What an operative does about a usage that pricing refuses.
REMEDIES = {
    RejectionReason.NO_PRICE: "add a price to the rate book, then retry",
    RejectionReason.WRONG_CURRENCY: "give the product an offering priced in the account's currency, then retry",
    RejectionReason.WRONG_UNIT: "correct the price and retry, or send the usage in that unit under a new id and discard this one",
    RejectionReason.INVALID_NUMBER: "give the book a price for it or set USAGE_NUMBERS_COUNTRY and retry, or " + DISCARD,
    RejectionReason.NEGATIVE_QUANTITY: DISCARD,
    RejectionReason.ABSURD_QUANTITY: DISCARD,
}


@dataclass(frozen=True, slots=True)
class UsageCharge:
    """The charge that counts the usages of one product at one price in one month."""

    id: str
    account: Account
    product: Product
    price: CompiledPrice
    month: BillingMonth
    sequence: int

    @property
    def continued_ids(self) -> list[str]:
        """The charges of earlier sequences whose quantity this one goes on counting from; none where nothing depends on it."""
        if self.price.tiers is None or self.price.late_restarts:
            return []
        return [_charge_id(self.account, self.product, self.price, self.month, sequence) for sequence in range(self.sequence)]


# Structs, for there is one of each for every usage.


class Rated(Struct, frozen=True, gc=False):
    """A usage with its price and the charge that counts it; `others` are the charges of the other parts of one that was split.

    `allowances` are what it took from buckets. What they paid is in no charge.
    `usage` has its numbers as they were guided and priced by; `received` is set where they were received otherwise.
    """

    usage: UsageReceived
    charge: UsageCharge
    priced: PricedUsage
    others: tuple[UsageCharge, ...] = ()
    allowances: tuple[AllowanceUse, ...] = ()
    received: UsageReceived | None = None

    @property
    def parts(self) -> Iterator[tuple[UsageCharge, PricedUsage]]:
        """What each charge counts of it."""
        return zip((self.charge, *self.others), self.priced.parts, strict=True)


class Earlier(Struct, frozen=True, gc=False):
    """A usage as it was received first, and what was answered then."""

    usage: UsageReceived
    answer: UsageRated | UsageRejected


@dataclass(frozen=True, slots=True)
class Decisions:
    """What is new (`rated`, `rejected`, `conflicting`: an id with another body), and every usage's answer in order."""

    rated: list[Rated] = field(default_factory=list)
    rejected: list[UsageRejected] = field(default_factory=list)
    conflicting: list[UsageRejected] = field(default_factory=list)
    answers: list[UsageRated | UsageRejected] = field(default_factory=list)

    def with_draws(self, rated: list[Rated]) -> "Decisions":
        """The same decisions once some of the usages drew from allowances."""
        return replace(self, rated=rated, answers=answers_with_draws(self.answers, rated))


def answers_with_draws(answers: list[UsageRated | UsageRejected], rated: Iterable[Rated]) -> list[UsageRated | UsageRejected]:
    """The answers, in their order, with those of usages that drew from allowances told anew."""
    drawn = {each.usage.id: rated_fact(each) for each in rated if each.allowances}
    if not drawn:
        return answers
    return [drawn.get(answer.id, answer) if isinstance(answer, UsageRated) else answer for answer in answers]


class Rater:
    """Rates usages of one batch against what is known now."""

    def __init__(self, holdings: Holdings, books: RateBooks, limits: UsageLimits, now: datetime) -> None:
        self._holdings = holdings
        self._books = books
        self._window = limits.at(now)
        self._intake = limits.intake
        self._months = BillingMonths()
        self._charges: dict[tuple[str, str], UsageCharge] = {}

    def rate(self, received: UsageReceived, *, is_released: bool = False) -> Rated | UsageRejected:
        """Guide the usage to its product and price it, or say why not. `is_released`: whatever its quantity."""
        fault = fault_of(received, self._window, is_released=is_released)
        if fault is not None:
            return reject(received, *fault)
        usage, tenures = received, self._holdings.by_identifier.get(received.identifier)
        if not tenures:
            usage, tenures = self._with_number(received)
        product = holder_at(tenures, usage.started_at)
        if product is None:
            return reject(received, RejectionReason.UNKNOWN_PRODUCT, _why_nobody_holds(usage, tenures), _identifiers(received, usage))
        account = self._holdings.accounts.get(product.account_id)
        if account is None:
            detail = f"product {product.id} is paid for by account {product.account_id}, which is unknown: open the account, then retry"
            waits_for = (account_key(product.account_id), *_identifiers(received, usage))
            return reject(received, RejectionReason.UNKNOWN_ACCOUNT, detail, waits_for)
        usage, priced = self._intake.price(self._books, product.offering_id, usage, time_zone=account.time_zone, currency=account.currency)
        if isinstance(priced, RejectedUsage):
            waits_for = (offering_key(product.offering_id), *_identifiers(received, usage)) if priced.reason in MENDED_BY_BOOKS else ()
            return reject(received, priced.reason, f"{priced.detail}: {REMEDIES[priced.reason]}", waits_for)
        charge = self._charge(account, product, priced.price, usage.started_at)
        others: tuple[UsageCharge, ...] = ()
        if priced.others:
            # All of the month that the usage started in, however far into the next one it lasted.
            others = tuple(self._charge(account, product, part.price, usage.started_at) for part in priced.others)
        return Rated(usage, charge, priced, others, received=received if usage is not received else None)

    def _with_number(self, received: UsageReceived) -> tuple[UsageReceived, Sequence[Holding]]:
        """The usage with its identifier in E.164 where it is a number, and who held that when."""
        number = self._intake.numbers.identifier(received.identifier)
        usage = received if number == received.identifier else changed(received, identifier=number)
        return usage, self._holdings.by_identifier.get(number, ())

    def _charge(self, account: Account, product: Product, price: CompiledPrice, started_at: datetime) -> UsageCharge:
        # Nearly always the charge of the month before this usage's own: then nothing else is looked up.
        place = (product.id, price.price_id)
        charge = self._charges.get(place)
        if charge is None or charge.price is not price or not charge.month.start <= started_at < charge.month.end:
            month = self._months.containing(started_at, account.time_zone)
            charge = self._charges[place] = usage_charge(account, product, price, month)
        return charge


def _identifiers(received: UsageReceived, usage: UsageReceived) -> tuple[str, ...]:
    return identifier_keys((received.identifier, usage.identifier))


def _why_nobody_holds(usage: UsageReceived, tenures: Sequence[Holding]) -> str:
    holders = sorted({tenure.product.id for tenure in tenures})
    if not holders:
        return f"no product has the identifier {usage.identifier}: add it to a product, then retry"
    return (
        f"no product held {usage.identifier} at {usage.started_at.isoformat()} (at other times: {', '.join(holders[:5])}): "
        "correct its validity, then retry"
    )


def usage_charge(account: Account, product: Product, price: CompiledPrice, month: BillingMonth) -> UsageCharge:
    """The charge that counts usage of this month at this price if it comes now."""
    sequence = account.cuts.get(month.label, 0)
    return UsageCharge(_charge_id(account, product, price, month, sequence), account, product, price, month, sequence)


def charge_of_sequence(charge: UsageCharge, sequence: int) -> UsageCharge:
    """Return the same charge as of another sequence of its month."""
    id = _charge_id(charge.account, charge.product, charge.price, charge.month, sequence)
    return replace(charge, id=id, sequence=sequence)


def _charge_id(account: Account, product: Product, price: CompiledPrice, month: BillingMonth, sequence: int) -> str:
    terms = terms_of_price(price, product.later_offering)
    return usage_charge_id(account.id, product.id, price.price_id, month.label, sequence, terms)


def rejected_of(earlier: Mapping[str, Earlier]) -> list[UsageRejected]:
    """The refusals among what was answered before."""
    return [known.answer for known in earlier.values() if isinstance(known.answer, UsageRejected)]


def total_numerator(priced: PricedUsage) -> int:
    """That of all parts together; they have one denominator."""
    return sum(part.numerator for part in priced.parts)


def decide(usages: Iterable[UsageReceived], earlier: Mapping[str, Earlier], rater: Rater) -> Decisions:
    """Decide every usage once, in order. Same id and same body: same answer. Same id, other body: refused."""
    decisions = Decisions()
    answers = decisions.answers
    decided = {id: (known.usage, known.answer) for id, known in earlier.items()}
    conflicts: set[str] = set()
    for usage in usages:
        known = decided.get(usage.id)
        if known is None:
            outcome = rater.rate(usage)
            if isinstance(outcome, Rated):
                decisions.rated.append(outcome)
                answer: UsageRated | UsageRejected = rated_fact(outcome)
            else:
                decisions.rejected.append(outcome)
                answer = outcome
            decided[usage.id] = usage, answer
        elif known[0] == usage:
            answer = known[1]
        else:
            answer = reject_conflicting(usage)
            if answer.suspense_id not in conflicts:
                conflicts.add(answer.suspense_id)
                decisions.conflicting.append(answer)
        answers.append(answer)
    return decisions


def rated_fact(rated: Rated) -> UsageRated:
    """The fact of a rated usage. Its parts were checked when they were received, remembered or loaded."""
    usage, charge, priced = rated.usage, rated.charge, rated.priced
    price = charge.price
    fact = UsageRated(
        id=usage.id,
        identifier=usage.identifier,
        usage_type=usage.usage_type,
        started_at=usage.started_at,
        quantity=usage.quantity,
        unit=usage.unit,
        called_number=usage.called_number,
        characteristics=usage.characteristics,
        account_id=charge.account.id,
        product_id=charge.product.id,
        price_id=price.price_id,
        charge_id=charge.id,
        charged_quantity=priced.charged_quantity,
        numerator=priced.numerator,
        denominator=price.denominator,
        currency=price.currency,
        rate_book=price.rate_book,
    )
    if rated.others:
        fact = changed(fact, numerator=total_numerator(priced), parts=tuple(_part(*part) for part in rated.parts))
    return changed(fact, allowances=rated.allowances) if rated.allowances else fact


def _part(charge: UsageCharge, priced: PricedUsage) -> RatedPart:
    return RatedPart(
        price_id=priced.price_id,
        charge_id=charge.id,
        charged_quantity=priced.charged_quantity,
        numerator=priced.numerator,
        denominator=priced.denominator,
        rate_book=priced.rate_book,
    )

"""What asked for a cut against what became of it: bill runs and their accounts, on-demand requests, cuts and bills."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from libs.audit.domain.difference import Category, Difference
from libs.contracts import BillRunChanged, BillRunCounts, OnDemandState, RunType


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut that rating made, with the number of lines it closed; returned, when it will never be billed."""

    account_id: str
    run_type: RunType
    cause_id: str
    line_count: int
    is_returned: bool = False


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill, by the cut that it comes from. `amount` includes tax."""

    id: str
    account_id: str
    cause_id: str
    line_count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AccountOfRun:
    """An account of a bill run, by the cut that the run asked for."""

    outcome: str | None
    bill_id: str | None
    amount: Decimal | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """An on-demand request, as one of the services tells it."""

    state: str
    bill_id: str | None


def check_cut(cut_id: str, cuts: Sequence[Cut], bills: Sequence[Bill], accounts: Sequence[AccountOfRun]) -> Iterator[Difference]:
    """A cut with lines has one bill with as many, unless its run parked it; a cut that returned its charges has none, for they are
    on a later one. An account of a run ends as its bill tells."""
    cut = cuts[0] if cuts else None
    bill = bills[0] if bills else None
    if bill is not None:
        yield from _check_bill(bill, cut)
    account = accounts[0] if accounts else None
    parked = account is not None and account.outcome == "parked"
    if cut is not None and cut.line_count and bill is None and not parked and not cut.is_returned:
        found = f"no bill for {cut.line_count} closed charges of account {cut.account_id}, asked for by {cut.cause_id}"
        expected = "a bill, its charges returned, or a parked account of a run"
        yield Difference(category=Category.CUT_UNBILLED, id=cut_id, expected=expected, found=found)
    if account is not None:
        yield from _check_account(cut_id, account, bill)


def check_counts(run: BillRunChanged, counts: BillRunCounts) -> Iterator[Difference]:
    """A run counts its accounts as they are."""
    found = run.counts
    if (found.accounts, found.billed, found.skipped, found.parked) != (counts.accounts, counts.billed, counts.skipped, counts.parked):
        yield Difference(category=Category.RUN_COUNTS, id=run.id, expected=_counted(counts), found=_counted(found))
    if _nonzero(found.amounts) != _nonzero(counts.amounts):
        yield Difference(category=Category.RUN_COUNTS, id=run.id, expected=_amounts(counts), found=_amounts(found))


def check_request(request_id: str, asked: Sequence[Request], taken: Sequence[Request], bills: Sequence[Bill]) -> Iterator[Difference]:
    """A request that the gateway answered is taken, ends, and says the same everywhere; done means that it has its bill.

    `asked` is the gateway's, `taken` that of on_demand_bill; requests may be published without the gateway.
    """
    if not taken:
        if asked:
            yield _of_request(request_id, "taken by on_demand_bill", f"{asked[0].state} at the gateway, unknown to on_demand_bill")
        if bills:
            yield _of_request(request_id, f"a request, for bill {bills[0].id}", "none")
        return
    request = taken[0]
    if request.state == OnDemandState.IN_PROGRESS:
        yield _of_request(request_id, "an end", "in progress")
    if asked and asked[0].state != request.state:
        yield _of_request(request_id, f"{request.state} at the gateway as well", asked[0].state)
    expected = request.bill_id if request.state == OnDemandState.DONE else None
    found = bills[0].id if bills else None
    if expected != found:
        yield _of_request(request_id, f"{request.state} with bill {expected}", f"bill {found}")


def _check_bill(bill: Bill, cut: Cut | None) -> Iterator[Difference]:
    if cut is None:
        yield Difference(category=Category.BILL_CUT, id=bill.id, expected="a cut that it comes from", found="none")
        return
    if cut.is_returned:
        yield Difference(category=Category.BILL_CUT, id=bill.id, expected="a cut that keeps its charges", found="one that returned them")
    expected = (cut.account_id, cut.cause_id, cut.line_count)
    found = (bill.account_id, bill.cause_id, bill.line_count)
    if expected != found:
        words = "account {}, cause {}, {} lines"
        yield Difference(category=Category.BILL_CUT, id=bill.id, expected=words.format(*expected), found=words.format(*found))


def _check_account(cut_id: str, account: AccountOfRun, bill: Bill | None) -> Iterator[Difference]:
    if account.outcome is None:
        yield Difference(category=Category.RUN_ACCOUNT, id=cut_id, expected="an outcome", found="none")
        return
    billed = account.outcome == "billed"
    expected = (bill.id, bill.amount) if bill is not None else None
    found = (account.bill_id, account.amount) if billed else None
    if expected != found:
        wanted = f"billed: {bill.id}, {bill.amount}" if bill is not None else "skipped or parked"
        had = f"billed: {account.bill_id}, {account.amount}" if billed else f"{account.outcome}"
        yield Difference(category=Category.RUN_ACCOUNT, id=cut_id, expected=wanted, found=had)


def _counted(counts: BillRunCounts) -> str:
    return f"{counts.accounts} accounts, {counts.billed} billed, {counts.skipped} skipped, {counts.parked} parked"


def _amounts(counts: BillRunCounts) -> str:
    return ", ".join(f"{amount} {currency}" for currency, amount in sorted(_nonzero(counts.amounts).items())) or "nothing billed"


def _nonzero(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {currency: amount for currency, amount in amounts.items() if amount != 0}


def _of_request(request_id: str, expected: str, found: str) -> Difference:
    return Difference(category=Category.ON_DEMAND_REQUEST, id=request_id, expected=expected, found=found)

"""A difference: something stored that is not what its causes make it. `category` is from a closed vocabulary."""

from enum import StrEnum

from libs.contracts import Record


class Category(StrEnum):
    """The kinds of differences, by the law that each breaks."""

    USAGE_UNDECIDED = "usage-undecided"
    USAGE_WAITING = "usage-waiting"
    USAGE_ALTERED = "usage-altered"
    USAGE_PRICE = "usage-price"
    USAGE_RERATED = "usage-rerated"
    SUSPENSE = "suspense"
    BUCKET = "bucket"
    CHARGE_MISSING = "charge-missing"
    CHARGE_USAGES = "charge-usages"
    CHARGE_TERMS = "charge-terms"
    CHARGE_AMOUNT = "charge-amount"
    CHARGE_CUT = "charge-cut"
    CHARGE_BILLED_TWICE = "charge-billed-twice"
    CHARGE_NOT_BILLED = "charge-not-billed"
    CHARGE_LEFT_BEHIND = "charge-left-behind"
    FEE_NOT_CHARGED = "fee-not-charged"
    BILL_LINE = "bill-line"
    BILL_TOTALS = "bill-totals"
    BILL_TAX = "bill-tax"
    BILL_CUT = "bill-cut"
    CUT_UNBILLED = "cut-unbilled"
    BILL_NUMBER = "bill-number"
    BILL_PUBLISHED = "bill-published"
    LEDGER_ENTRY = "ledger-entry"
    LEDGER_BALANCE = "ledger-balance"
    ON_DEMAND_REQUEST = "on-demand-request"
    RUN_ACCOUNT = "run-account"
    RUN_COUNTS = "run-counts"
    CYCLE_WITHOUT_RUN = "cycle-without-run"
    DELETED_UNREAD = "deleted-unread"


class Difference(Record):
    """The expected and the found state of the document `id`, in words for people."""

    category: Category
    id: str
    expected: str
    found: str

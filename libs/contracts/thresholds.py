"""Thresholds that were reached: what a product owes for its usage of a month came to a percentage that its offering watches."""

from libs.contracts.bounded import Amount, Count, CurrencyCode
from libs.contracts.fact import Id, RecordFact
from libs.periods import Instant, Period


class ThresholdCrossed(RecordFact, topic="threshold.crossed.v1", key="account_id"):
    """Told once for each account, product, offering, month, threshold and percentage, of which `id` is made.

    `period` is the month in the account's time zone. `amount`, rounded to the minor unit, is what was owed when it was noticed that
    `percent` of `threshold_amount` was reached: it may be more, for usage comes in batches. `usage_id` is the last usage of the batch
    in which it was noticed: when that comes again, so does this.
    """

    id: Id
    account_id: Id
    product_id: Id
    offering_id: Id
    threshold_id: Id
    percent: Count
    threshold_amount: Amount
    amount: Amount
    currency: CurrencyCode
    period: Period
    usage_id: Id
    crossed_at: Instant

"""Why pricing has no price for a usage."""

from typing import NamedTuple

from libs.contracts import RejectionReason


class RejectedUsage(NamedTuple):
    """`reason` is no-price, wrong-unit, wrong-currency, negative-quantity or absurd-quantity; `detail` is for people."""

    reason: RejectionReason
    detail: str

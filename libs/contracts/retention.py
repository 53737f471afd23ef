"""How long the topic of each fact keeps its messages.

Usage is much and is kept for days. Other facts are kept for longer than the longest time between two backups, because a restored
service adopts from them what it had published since. A state whose key is its id is compacted: its newest message is kept for ever.
Previews are for a client that waits, and nobody adopts them.
"""

from enum import StrEnum

from libs.contracts.accounts import AccountChanged, ProductChanged
from libs.contracts.bill_runs import BillRunChanged
from libs.contracts.fact import Fact
from libs.contracts.hub import SubscriptionChanged
from libs.contracts.previews import BillPreviewed, BillPreviewRefused, BillPreviewRequested, ChargesPreviewed
from libs.contracts.tariffs import TariffAccepted, TariffPublished
from libs.contracts.usage import UsageReceived


class Retention(StrEnum):
    """usage, fact and transient: deleted after a time; state: the newest per key stays; whole: nothing is ever deleted."""

    TRANSIENT = "transient"
    USAGE = "usage"
    FACT = "fact"
    STATE = "state"
    WHOLE = "whole"


# Each message is the whole of what its key names, so that the newest one says all.
_STATES = (AccountChanged, SubscriptionChanged, BillRunChanged)
# States as well, but several of them share a key, which compaction would make one of. They are few.
_WHOLE = (ProductChanged, TariffPublished, TariffAccepted)
# Whole bills, for one client each.
_TRANSIENT = (BillPreviewRequested, ChargesPreviewed, BillPreviewed, BillPreviewRefused)


def retention_of(fact: type[Fact]) -> Retention:
    """Return how the topic of a fact keeps its messages."""
    if fact is UsageReceived:
        return Retention.USAGE
    if fact in _TRANSIENT:
        return Retention.TRANSIENT
    if fact in _STATES:
        return Retention.STATE
    return Retention.WHOLE if fact in _WHOLE else Retention.FACT

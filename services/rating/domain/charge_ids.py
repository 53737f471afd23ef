"""Ids of charges, derived from what they accumulate: account, product, price, month and sequence.

The sequence is the number of cuts already made of that account and month. A recurring fee has none: however many cuts
cover a month, its fee is one charge. What a cut adjusts (discounts, commitments, caps) is a charge of that cut.
"""

import hashlib

ID_LENGTH_MAX = 256
RECURRING = "recurring"
ADJUSTED = "adjusted"


def usage_charge_id(account_id: str, product_id: str, price_id: str, month_label: str, sequence: int) -> str:
    """Where usage accumulates."""
    return _joined(account_id, product_id, price_id, month_label, str(sequence))


def recurring_charge_id(account_id: str, product_id: str, price_id: str, month_label: str) -> str:
    """The one charge of a recurring fee for a month."""
    return _joined(account_id, product_id, price_id, month_label, RECURRING)


def adjustment_charge_id(account_id: str, owner_id: str, adjustment_id: str, period_label: str, cut_id: str) -> str:
    """What a cut adjusts for a period; the owner is a product, or the account itself."""
    return _joined(account_id, owner_id, adjustment_id, period_label, ADJUSTED, cut_id)


def _joined(*parts: str) -> str:
    joined = "|".join(parts)
    if joined.count("|") != len(parts) - 1:
        joined = "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)
    if len(joined) > ID_LENGTH_MAX:
        return hashlib.sha256(joined.encode()).hexdigest()
    return joined

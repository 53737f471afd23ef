"""Fees of products: recurring and one-time, charged at the cut."""

from services.rating.domain.fees.charged_as import ChargedAs
from services.rating.domain.fees.fee_corrections import COMPARED_BACK, CORRECTED_BACK
from services.rating.domain.fees.fee_history import FeeHistory, changed_products, is_older, products_to_correct
from services.rating.domain.fees.fee_reach import FeeReach, fee_reach
from services.rating.domain.fees.fee_to_charge import FeeToCharge
from services.rating.domain.fees.fees_out_of_reach import fees_out_of_reach
from services.rating.domain.fees.fees_to_charge import fees_to_charge
from services.rating.domain.fees.product_fee import WrongFeeCurrency
from services.rating.domain.fees.tenure import Tenure, tenures_of

__all__ = [
    "COMPARED_BACK",
    "CORRECTED_BACK",
    "ChargedAs",
    "FeeHistory",
    "FeeReach",
    "FeeToCharge",
    "Tenure",
    "WrongFeeCurrency",
    "changed_products",
    "fee_reach",
    "fees_out_of_reach",
    "fees_to_charge",
    "is_older",
    "products_to_correct",
    "tenures_of",
]

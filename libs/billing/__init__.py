"""From closed charges to a bill, without a clock, a database or a setting: everything comes in as an argument.

A step is a function from values to values. What keeps an account from being billed is returned as `AccountParked`
with a reason that says what to mend; nothing about a customer's data is raised.
"""

from libs.billing.bill import BillDraft, BillTerms, assemble_bill
from libs.billing.states import change_state
from libs.billing.tax_rates import InvalidTaxRates, parse_tax_rates
from libs.billing.tax_table import TaxTable

__all__ = ["BillDraft", "BillTerms", "InvalidTaxRates", "TaxTable", "assemble_bill", "change_state", "parse_tax_rates"]

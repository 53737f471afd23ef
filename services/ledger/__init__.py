"""The ledger: bills become balanced entries, and entries become balances."""

"""`python -m services.ledger`: the service as a process."""

from services.ledger.service import LedgerSettings, build

if __name__ == "__main__":
    build(LedgerSettings()).run()

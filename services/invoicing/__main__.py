"""`python -m services.invoicing`: the service as a process."""

from services.invoicing.service import InvoicingSettings, build

if __name__ == "__main__":
    build(InvoicingSettings()).run()

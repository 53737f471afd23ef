"""`python -m services.on_demand_bill`: the service as a process."""

from services.on_demand_bill.service import OnDemandBillSettings, build

if __name__ == "__main__":
    build(OnDemandBillSettings()).run()

"""Composition root of on_demand_bill."""

from datetime import timedelta
from functools import partial

from pydantic import Field

from libs.runtime import RuntimeSettings, Service
from services.on_demand_bill.adoption import RequestAdoption
from services.on_demand_bill.handlers import ask_refused_again, complete_on_demand_bills, remember_accounts, start_on_demand_bills
from services.on_demand_bill.store import INDEXES, OnDemandStore

# Outcomes of whole bill runs pass by here: fewer, larger polls.
OUTCOME_BATCH_SIZE = 1_000


class OnDemandBillSettings(RuntimeSettings):
    """Besides the shared ones: how long an account may stay unknown to rating, and how often it is asked."""

    http_port: int = Field(8103, validation_alias="ON_DEMAND_BILL_PORT")
    account_grace_s: float = Field(10.0, gt=0, validation_alias="ON_DEMAND_BILL_ACCOUNT_GRACE_S")
    refused_pause_s: float = Field(0.5, gt=0, validation_alias="ON_DEMAND_BILL_REFUSED_PAUSE_S")


def build(settings: OnDemandBillSettings) -> Service:
    """The service with its handlers bound to its store."""
    service = Service("on_demand_bill", settings, indexes=INDEXES)
    store = OnDemandStore(service.database)
    service.adopt(RequestAdoption(service.database).adopt)
    service.subscribe(partial(remember_accounts, store=store))
    service.subscribe(partial(start_on_demand_bills, store=store))
    service.subscribe(
        partial(complete_on_demand_bills, store=store, grace=timedelta(seconds=settings.account_grace_s)), batch_size=OUTCOME_BATCH_SIZE
    )
    service.background(partial(ask_refused_again, store=store, publish=service.publish, pause=timedelta(seconds=settings.refused_pause_s)))
    return service

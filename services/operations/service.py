"""Composition root of operations."""

from functools import partial

from pydantic import Field

from libs.runtime import RuntimeSettings, Service
from services.operations.adoption import RunAdoption
from services.operations.handlers import count_outcomes, remember_accounts, start_bill_runs
from services.operations.store import INDEXES, OperationsStore

# One transaction and one bill_run.changed per batch: large ones keep a run cheap, and a bill is some kilobytes.
OUTCOME_BATCH_SIZE = 1_000


class OperationsSettings(RuntimeSettings):
    """Only the shared settings so far."""

    http_port: int = Field(8098, validation_alias="OPERATIONS_PORT")


def build(settings: OperationsSettings) -> Service:
    """The service with its handlers bound to its store."""
    service = Service("operations", settings, indexes=INDEXES)
    store = OperationsStore(service.client, service.database)
    service.adopt(RunAdoption(service.database).adopt)
    service.subscribe(partial(remember_accounts, store=store))
    service.subscribe(partial(start_bill_runs, store=store, publish=service.publish))
    service.subscribe(partial(count_outcomes, store=store), batch_size=OUTCOME_BATCH_SIZE)
    return service

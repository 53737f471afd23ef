"""Composition root of the ledger."""

from functools import partial

from pydantic import Field

from libs.runtime import RuntimeSettings, Service
from services.ledger.handlers import post_bills
from services.ledger.store import INDEXES, LedgerStore


class LedgerSettings(RuntimeSettings):
    """Nothing but the shared settings and its port."""

    http_port: int = Field(8101, validation_alias="LEDGER_PORT")


def build(settings: LedgerSettings) -> Service:
    """The service with its handler bound to its store."""
    service = Service("ledger", settings, indexes=INDEXES)
    service.subscribe(partial(post_bills, store=LedgerStore(service.client, service.database)))
    return service

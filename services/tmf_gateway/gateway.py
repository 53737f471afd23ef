"""What the routes work with."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pymongo.asynchronous.database import AsyncDatabase

from libs.billing import TaxTable
from libs.callback_addresses import Network
from libs.contracts import Fact
from services.tmf_gateway.answers import Answers
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.tmf666 import AccountDefaults
from services.tmf_gateway.idempotency import Idempotency
from services.tmf_gateway.outbox import Outbox
from services.tmf_gateway.rating_copies import RatingCopies
from services.tmf_gateway.sources import Sources
from services.tmf_gateway.store import GatewayStore


@dataclass(frozen=True)
class Gateway:
    """The gateway's parts. `answer_wait_s` bounds how long a client waits for another service's answer."""

    database: AsyncDatabase
    store: GatewayStore
    sources: Sources
    rating_copies: RatingCopies
    outbox: Outbox
    idempotency: Idempotency
    answers: Answers
    publish: Callable[[Sequence[Fact]], Awaitable[None]]
    links: Links
    defaults: AccountDefaults
    tax_table: TaxTable
    callback_networks: Sequence[Network]
    answer_wait_s: float
    document_wait_s: float

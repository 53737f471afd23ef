"""Notifications: its settings, and how its parts hang together."""

from functools import partial

from pydantic import Field, SecretStr

from libs.callback_addresses import AllowedNetworks
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lease import Leases
from services.notifications.callback_client import CallbackClient
from services.notifications.dispatcher import Dispatcher
from services.notifications.domain.retry import RetryPolicy
from services.notifications.handlers import follow_subscriptions, plan_deliveries, retry_deliveries
from services.notifications.store import INDEXES, NotificationsStore

# Long enough that a prolonged lease (two thirds left at least) always covers a whole attempt.
LEASE_ATTEMPTS = 3


class NotificationsSettings(RuntimeSettings):
    """The environment of notifications; see its README."""

    http_port: int = Field(8104, validation_alias="NOTIFICATIONS_PORT")
    hub_signing_secret: SecretStr | None = None
    hub_allowed_networks: AllowedNetworks = ()
    hub_callback_verbatim: bool = False
    hub_attempt_timeout_s: float = Field(10.0, gt=0)
    hub_tries_max: int = Field(16, gt=0)
    hub_pause_first_s: float = Field(1.0, gt=0)
    hub_pause_max_s: float = Field(3600.0, gt=0)


def build(settings: NotificationsSettings) -> Service:
    """The service, not yet started."""
    service = Service("notifications", settings, indexes=INDEXES)
    store = NotificationsStore(service.client, service.database)
    dispatcher = Dispatcher(
        store,
        Leases(service.database["leases"], LEASE_ATTEMPTS * settings.hub_attempt_timeout_s),
        CallbackClient(settings.hub_allowed_networks, settings.hub_attempt_timeout_s),
        RetryPolicy(settings.hub_tries_max, settings.hub_pause_first_s, settings.hub_pause_max_s),
        secret=settings.hub_signing_secret,
        verbatim=settings.hub_callback_verbatim,
    )
    for handler in (follow_subscriptions, plan_deliveries, retry_deliveries):
        service.subscribe(partial(handler, store=store, wake=dispatcher.wake))
    service.background(dispatcher.dispatch)
    return service

"""What notifications does with each fact."""

from collections.abc import Callable, Sequence

from libs.contracts import DeliveryRetryRequested, Fact, HubEventRaised, SubscriptionChanged
from libs.hub_query import InvalidHubQuery, parse_hub_query
from libs.runtime import Batch, Unprocessable
from services.notifications.domain.delivery import plan
from services.notifications.store import NotificationsStore


async def follow_subscriptions(batch: Batch[SubscriptionChanged], *, store: NotificationsStore, wake: Callable[[], None]) -> Sequence[Fact]:
    """Keep subscriptions, and give each what was received between its making and now. Parks those with an invalid query."""
    for subscription in batch:
        try:
            parse_hub_query(subscription.query)
        except InvalidHubQuery as error:
            raise Unprocessable(f"the query of subscription {subscription.id} is invalid: {error}") from None
        await store.keep_subscription(subscription)
        if subscription.removed:
            await store.cancel(subscription.id, batch.received_at, "the subscription was removed")
            continue
        missed = await store.events_received_since(subscription.api, subscription.changed_at)
        await store.add_deliveries(plan(missed, [subscription], batch.received_at))
    wake()
    return []


async def plan_deliveries(batch: Batch[HubEventRaised], *, store: NotificationsStore, wake: Callable[[], None]) -> Sequence[Fact]:
    """Decide who gets these events; the dispatcher delivers them.

    Earlier events of the same resources are looked at again: a subscription that was just read may not have got them yet,
    and must get them first.
    """
    await store.keep_events(batch, batch.received_at)
    received = await store.events_of_resources({event.resource_id for event in batch})
    subscriptions = await store.active_subscriptions({event.api for event in batch})
    await store.add_deliveries(plan(received, subscriptions, batch.received_at))
    wake()
    return []


async def retry_deliveries(batch: Batch[DeliveryRetryRequested], *, store: NotificationsStore, wake: Callable[[], None]) -> Sequence[Fact]:
    """Send parked deliveries again. One that already went its way stays as it is."""
    for request in batch:
        if not await store.reopen(request.delivery_id, batch.received_at):
            raise Unprocessable(f"there is no delivery {request.delivery_id}")
    wake()
    return []

"""The dispatcher: sees which subscribers are owed something and serves each in a task of its own.

Everything it knows is in the `deliveries` collection, so a crash loses nothing. A slow or dead subscriber keeps only
its own task waiting. Within a subscription, resources go side by side up to a bound; each resource strictly in order.
After a parked delivery the later ones of its resource go on: each event carries the whole resource, so the next one
makes up for it, while holding them would silence a subscriber for ever because of one bad answer.
"""

import asyncio
import contextlib
import random
import time
from datetime import UTC, datetime

import structlog
from pydantic import SecretStr
from pymongo.errors import PyMongoError

from libs.contracts import SubscriptionChanged
from libs.hub_signature import HEADER, signature, subscription_key
from libs.runtime.lease import Leases
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.metrics import HUB_ATTEMPTS
from services.notifications.callback_client import CallbackClient
from services.notifications.domain.callback import CallbackRefused, delivery_url
from services.notifications.domain.delivery import Attempt, Delivery, DeliveryState
from services.notifications.domain.retry import Outcome, RetryPolicy, after_attempt
from services.notifications.store import NotificationsStore

# How long a due delivery waits at most to be seen when nobody wakes the dispatcher.
POLL_S = 0.25
LANES_PER_SUBSCRIPTION_MAX = 8
JITTER = (0.5, 1.5)
REST_AFTER_FAULT_S = 5.0
REMOVED = "the subscription was removed"

logger = structlog.get_logger(__name__)


class Dispatcher:
    """Delivers what is due; `dispatch` is the background task, `wake` spares it a poll."""

    def __init__(
        self,
        store: NotificationsStore,
        leases: Leases,
        client: CallbackClient,
        policy: RetryPolicy,
        *,
        secret: SecretStr | None,
        verbatim: bool,
    ) -> None:
        self._store = store
        self._leases = leases
        self._client = client
        self._policy = policy
        self._secret = secret.get_secret_value() if secret else None
        self._verbatim = verbatim
        self._woken = asyncio.Event()
        self._is_stopping = False
        self._serving: dict[str, asyncio.Task[None]] = {}
        self._resting_until: dict[str, float] = {}

    def wake(self) -> None:
        """Something became due."""
        self._woken.set()

    async def dispatch(self) -> None:
        """Run until cancelled; then every attempt under way ends and is recorded."""
        if self._secret is None:
            logger.warning("deliveries are not signed: set HUB_SIGNING_SECRET")
        try:
            while True:
                await uninterrupted(self._start_serving())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            self._is_stopping = True
            # They end by themselves: a cancellation could reach the driver of MongoDB.
            await asyncio.gather(*self._serving.values(), return_exceptions=True)
            await self._client.close()

    async def _start_serving(self) -> None:
        self._reap()
        try:
            owed = await self._store.subscriptions_with_work(datetime.now(UTC))
        except PyMongoError as error:
            logger.warning("cannot see what is due, will look again", error=repr(error))
            return
        for subscription_id in owed:
            if subscription_id not in self._serving and time.monotonic() >= self._resting_until.get(subscription_id, 0):
                self._serving[subscription_id] = asyncio.create_task(self._serve(subscription_id), name=f"serve {subscription_id}")

    def _reap(self) -> None:
        for subscription_id, task in list(self._serving.items()):
            if not task.done():
                continue
            del self._serving[subscription_id]
            self._resting_until.pop(subscription_id, None)
            fault = task.exception()
            # Whatever is wrong with one subscriber must not stop the others.
            if fault is not None:
                self._resting_until[subscription_id] = time.monotonic() + REST_AFTER_FAULT_S
                logger.error("deliveries interrupted, will go on", subscription_id=subscription_id, exc_info=fault)

    async def _serve(self, subscription_id: str) -> None:
        if not await self._leases.hold(subscription_id):
            return
        try:
            subscription = await self._store.subscription(subscription_id)
            if subscription is None or subscription.removed:
                await self._store.cancel(subscription_id, datetime.now(UTC), REMOVED)
            else:
                await self._deliver_due(subscription)
        finally:
            await self._leases.release(subscription_id)

    async def _deliver_due(self, subscription: SubscriptionChanged) -> None:
        lanes: dict[str, asyncio.Task[None]] = {}
        ending = asyncio.Event()
        try:
            while await self._leases.prolong(subscription.id) and await self._fill(lanes, subscription, ending):
                await asyncio.wait(lanes.values(), timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                for resource_id in [resource_id for resource_id, task in lanes.items() if task.done()]:
                    lanes.pop(resource_id).result()
        finally:
            # Each lane ends after the attempt that is under way: a cancellation could reach the driver of MongoDB.
            ending.set()
            await asyncio.gather(*lanes.values(), return_exceptions=True)

    async def _fill(self, lanes: dict[str, asyncio.Task[None]], subscription: SubscriptionChanged, ending: asyncio.Event) -> bool:
        """Start what is due as far as there is room. Returns False when nothing is under way."""
        room = 0 if self._is_stopping else LANES_PER_SUBSCRIPTION_MAX - len(lanes)
        if room:
            for resource_id in await self._store.due_resources(subscription.id, datetime.now(UTC), lanes, room):
                lanes[resource_id] = asyncio.create_task(self._deliver_lane(subscription, resource_id, ending))
        return bool(lanes)

    async def _deliver_lane(self, subscription: SubscriptionChanged, resource_id: str, ending: asyncio.Event) -> None:
        lane = (subscription.id, resource_id)
        while self._leases.covers(subscription.id, self._client.timeout_s) and not (ending.is_set() or self._is_stopping):
            delivery = await self._store.head(lane)
            if delivery is None:
                return
            if delivery.due_at > datetime.now(UTC):
                await self._store.hold(lane, delivery.due_at)
                return
            attempt, outcome = await self._try(subscription, delivery)
            await self._store.record(delivery, attempt, outcome)
            HUB_ATTEMPTS.labels(outcome.state).inc()

    async def _try(self, subscription: SubscriptionChanged, delivery: Delivery) -> tuple[Attempt, Outcome]:
        body = delivery.body.encode()
        try:
            url = delivery_url(subscription.callback, delivery.event_type, self._verbatim)
            attempt = await self._client.post(url, body, self._headers(subscription.id, body))
        except CallbackRefused as refused:
            attempt = Attempt(at=datetime.now(UTC), duration_ms=0, error=str(refused))
            return attempt, Outcome(DeliveryState.PARKED, reason=str(refused))
        return attempt, after_attempt(attempt, delivery.tries + 1, self._policy, random.uniform(*JITTER))

    def _headers(self, subscription_id: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json;charset=utf-8", "User-Agent": "Tarifa"}
        if self._secret is not None:
            headers[HEADER] = signature(body, subscription_key(self._secret, subscription_id), int(time.time()))
        return headers

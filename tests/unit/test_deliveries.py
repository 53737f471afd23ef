"""Who is owed which event, in which order, when it is tried again, and how it is signed."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from libs.contracts import HubEventRaised, SubscriptionChanged
from libs.hub_signature import signature, subscription_key
from services.notifications.domain.delivery import Attempt, DeliveryState, ReceivedEvent, in_sequence, plan
from services.notifications.domain.retry import RetryPolicy, after_attempt

NOW = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = RetryPolicy(tries_max=5, pause_first_s=2, pause_max_s=10)


def event(number: int, resource: str = "b1", api: str = "TMF678") -> HubEventRaised:
    envelope = {"eventId": f"e{number}", "event": {"customerBill": {"id": resource, "state": "new"}}}
    return HubEventRaised(
        id=f"e{number}", api=api, event_type="CustomerBillCreateEvent", resource_id=resource, raised_at=NOW, envelope=envelope
    )


def received(*events: HubEventRaised) -> list[ReceivedEvent]:
    return [ReceivedEvent(event, NOW) for event in events]


def subscription(name: str, query: str = "", **changes) -> SubscriptionChanged:
    return SubscriptionChanged(
        **{"id": name, "api": "TMF678", "callback": "http://crm.example", "query": query, "changed_at": NOW} | changes
    )


def failed(status: int | None = 500, error: str | None = None) -> Attempt:
    return Attempt(at=NOW, duration_ms=0, status=status, error=error)


def test_an_event_is_owed_to_each_matching_subscription_of_its_api():
    subscriptions = [
        subscription("all"),
        subscription("other-type", "eventType=CustomerBillStateChangeEvent"),
        subscription("other-state", "event.customerBill.state=settled"),
        subscription("other-api", api="TMF666"),
        subscription("removed", removed=True),
        subscription("made-later", changed_at=NOW + timedelta(seconds=1)),
        subscription("new", "event.customerBill.state=new&fields=event.customerBill.id"),
    ]

    planned = plan(received(event(1)), subscriptions, NOW)

    assert [delivery.id for delivery in planned] == ["all|e1", "new|e1"]
    assert json.loads(planned[1].body) == {"eventId": "e1", "event": {"customerBill": {"id": "b1"}}}


def test_deliveries_are_numbered_per_resource_and_subscription():
    planned = plan(received(event(1), event(2, "b2"), event(3)), [subscription("s")], NOW)

    numbered = in_sequence(planned, {("s", "b1"): 7})

    assert [(delivery.event_id, delivery.sequence) for delivery in numbered] == [("e1", 8), ("e2", 1), ("e3", 9)]


@pytest.mark.parametrize(("tries", "pause_s"), [(1, 2), (2, 4), (3, 8), (4, 10)])
def test_pauses_double_up_to_their_bound(tries, pause_s):
    outcome = after_attempt(failed(), tries, POLICY, jitter=1)

    assert outcome.due_at == NOW + timedelta(seconds=pause_s)


def test_jitter_stretches_the_pause():
    assert after_attempt(failed(), 1, POLICY, jitter=1.5).due_at == NOW + timedelta(seconds=3)


def test_a_pause_after_thousands_of_tries_is_still_bounded():
    patient = RetryPolicy(tries_max=10_000, pause_first_s=2, pause_max_s=10)

    assert after_attempt(failed(), 5_000, patient, jitter=1).due_at == NOW + timedelta(seconds=10)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_any_2xx_delivers(status):
    assert after_attempt(failed(status), 5, POLICY, jitter=1).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("attempt", [failed(500), failed(302), failed(410), failed(None, "timed out")])
def test_the_last_try_parks_with_what_went_wrong(attempt):
    outcome = after_attempt(attempt, 5, POLICY, jitter=1)

    assert outcome.state is DeliveryState.PARKED
    assert (attempt.error or f"HTTP {attempt.status}") in outcome.reason


def test_the_signature_covers_time_and_body():
    header = signature(b'{"a":1}', "secret", 1_772_323_200)

    expected = hmac.new(b"secret", b'1772323200.{"a":1}', hashlib.sha256).hexdigest()
    assert header == f"t=1772323200,v1={expected}"


def test_each_subscription_has_a_key_of_its_own_that_stays():
    keys = {subscription_key(secret, name) for secret in ("secret", "other") for name in ("crm", "selfcare")}

    assert len(keys) == 4
    assert subscription_key("secret", "crm") in keys

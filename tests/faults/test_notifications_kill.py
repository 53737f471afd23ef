"""Notifications killed while it delivers: nothing is lost, and each resource keeps its order."""

from datetime import UTC, datetime
from pathlib import Path

from libs.contracts import HubEventRaised, SubscriptionChanged
from libs.devstack import free_port, service_process
from libs.runtime import RuntimeSettings
from libs.runtime.publisher import FactPublisher
from tests.services.hub_subscriber import listening

EVENT_COUNT = 200
BILL_COUNT = 20
KILL_AFTER = (30, 60, 90)


def raised(number: int) -> HubEventRaised:
    event_id, bill = f"e{number}", f"bill-{number % BILL_COUNT}"
    return HubEventRaised(
        id=event_id,
        api="TMF678",
        event_type="CustomerBillStateChangeEvent",
        resource_id=bill,
        raised_at=datetime.now(UTC),
        envelope={"eventId": event_id, "event": {"customerBill": {"id": bill}}},
    )


async def test_every_event_arrives_in_order_though_the_service_is_killed_again_and_again(settings: RuntimeSettings, tmp_path: Path):
    # A short time limit makes a short lease: the next process need not wait long for that of the killed one.
    environment = {"HUB_ALLOWED_NETWORKS": "127.0.0.0/8", "HUB_ATTEMPT_TIMEOUT_S": "1"}
    notifications = service_process(
        "notifications", settings, port=free_port(), log=tmp_path / "notifications.log", environment=environment
    )
    publisher = FactPublisher("test", settings)
    async with listening() as crm:
        try:
            await publisher.start()
            subscription = SubscriptionChanged(id="s", api="TMF678", callback=crm.url, changed_at=datetime.now(UTC))
            await publisher.publish([subscription, *map(raised, range(EVENT_COUNT))])
            for arrived in KILL_AFTER:
                await notifications.start()
                await crm.gets(arrived)
                await notifications.kill()
            await notifications.start()
            await crm.gets_all({f"e{number}" for number in range(EVENT_COUNT)})
        finally:
            await notifications.stop()
            await publisher.stop()

    for bill in range(BILL_COUNT):
        numbers = [int(event_id[1:]) for event_id in dict.fromkeys(crm.event_ids()) if int(event_id[1:]) % BILL_COUNT == bill]
        assert numbers == sorted(numbers), f"bill-{bill} out of order"

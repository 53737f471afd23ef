"""Rating alone: customers, calls and cuts published as facts, and what the service made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from libs.contracts import (
    AccountChanged,
    AccountState,
    Charge,
    Fact,
    PeriodCut,
    ProductChanged,
    ProductStatus,
    RunType,
    ServiceIdentifier,
    UsageReceived,
)
from libs.periods import calendar_month, time_zone
from libs.runtime import RuntimeSettings, Service, from_document
from libs.runtime.lag import LagReader
from tests.usages import usage_of
from tests.world import WAIT_S, read_facts

ZONE = "America/New_York"
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
F = TypeVar("F", bound=Fact)


def account(id: str, *, revision: int = 1, currency: str = "USD", zone: str = ZONE, billed_from: datetime | None = None) -> AccountChanged:
    """An account as the gateway tells it."""
    return AccountChanged(
        id=id,
        revision=revision,
        name=id,
        state=AccountState.ACTIVE,
        currency=currency,
        time_zone=zone,
        cycle="monthly",
        tax_category="standard",
        billed_from=billed_from,
        changed_at=LONG_AGO,
    )


def product(id: str, account_id: str, *identifiers: ServiceIdentifier, offering: str = "churn-plan", **fields: Any) -> ProductChanged:
    """A product as the gateway tells it."""
    defaults = {"revision": 1, "name": offering, "status": ProductStatus.ACTIVE, "started_at": LONG_AGO, "changed_at": LONG_AGO}
    return ProductChanged(id=id, account_id=account_id, offering_id=offering, identifiers=identifiers, **{**defaults, **fields})


def number(value: str, valid_from: datetime = LONG_AGO, valid_to: datetime | None = None) -> ServiceIdentifier:
    """The tenure of a telephone number."""
    return ServiceIdentifier(kind="msisdn", value=value, valid_from=valid_from, valid_to=valid_to)


def call(
    id: str, caller: str, *, seconds: int | Decimal = 60, at: str = "2026-03-02 10:00", to: str = "+12125559999", **fields: Any
) -> Any:
    """A call; `at` is local time in New York."""
    started_at = datetime.fromisoformat(at).replace(tzinfo=time_zone(ZONE))
    body = {
        "id": id,
        "identifier": caller,
        "usage_type": "voice",
        "started_at": started_at,
        "quantity": seconds,
        "unit": "s",
        "called_number": to,
    }
    return usage_of(**{**body, **fields})


def cut(id: str, account_id: str, month: str = "2026-03") -> PeriodCut:
    """The cut of a bill run."""
    return PeriodCut(
        id=id,
        account_id=account_id,
        run_type=RunType.ON_CYCLE,
        period=calendar_month(month, ZONE),
        cause_id=f"monthly:{month}",
        requested_at=datetime(2026, 4, 1, 12, tzinfo=UTC),
    )


def cut_now(id: str, account_id: str, at: datetime = datetime(2026, 3, 20, tzinfo=UTC)) -> PeriodCut:
    """The cut of a bill on demand."""
    return PeriodCut(id=id, account_id=account_id, run_type=RunType.OFF_CYCLE, cause_id=id, requested_at=at)


@dataclass(frozen=True)
class RatingWorld:
    """The service running in this process, and ways to feed and read it."""

    settings: RuntimeSettings
    service: Service
    lag: LagReader

    call = staticmethod(call)
    cut = staticmethod(cut)

    async def publish(self, *facts: Fact) -> None:
        """Publish facts as somebody outside would."""
        await self.service.publish(facts)

    async def publish_raw(self, *bodies: bytes, key: bytes = b"+1") -> None:
        """Publish bytes on the topic of usages."""
        for body in bodies:
            await self.service.publisher.publish_raw(self.settings.topic(UsageReceived.topic), key, body)

    async def settle(self) -> None:
        """Wait until rating has handled everything."""
        await self.lag.settled(WAIT_S)

    async def customer(self, account_id: str, caller: str, **fields: Any) -> None:
        """An account with one product and one number, known to rating on return."""
        await self.publish(account(account_id), product(f"{account_id}-line", account_id, number(caller), **fields))
        await self.settle()

    async def facts(self, fact: type[F]) -> list[F]:
        """Everything told so far."""
        return await read_facts(self.settings, fact)

    async def charges(self, **query: Any) -> list[Charge]:
        """Stored charges by id."""
        found = self.service.database["charges"].find(query).sort("_id", 1)
        return [from_document(Charge, document) async for document in found]

    async def documents(self, collection: str, **query: Any) -> Sequence[dict[str, Any]]:
        """Stored documents by id."""
        return await self.service.database[collection].find(query).sort("_id", 1).to_list()

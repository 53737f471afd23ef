"""TM Forum's event envelope, v4, around a resource as it was when the event happened."""

import uuid
from datetime import datetime
from typing import Any

from libs.contracts import HubEventRaised
from services.tmf_gateway.domain.resource import Representation, Resource

# Event ids are derived from their cause, so that a repeated cause repeats the event and subscribers can tell.
_EVENT_IDS = uuid.UUID("7a3c0b4e-1d5f-4c1e-9a55-3f0f6d2b9c11")
_TITLES = {
    "Create": "{name} created",
    "StateChange": "State of {name} changed",
    "AttributeValueChange": "Attributes of {name} changed",
    "Delete": "{name} deleted",
}


def event_type(resource: Resource, change: str) -> str:
    """The name of an event, such as CustomerBillCreateEvent."""
    return f"{resource.definition}{change}Event"


def hub_event(
    resource: Resource, change: str, representation: Representation, *, cause: str, at: datetime, changed: tuple[str, ...] = ()
) -> HubEventRaised:
    """The event of a `change` (Create, StateChange, AttributeValueChange or Delete); `cause` is unique per resource name and change,
    `changed` names the attributes of an AttributeValueChange."""
    named = event_type(resource, change)
    event_id = str(uuid.uuid5(_EVENT_IDS, f"{named}:{cause}"))
    title = _TITLES[change].format(name=resource.name)
    payload = {resource.name: representation}
    envelope: dict[str, Any] = {
        "eventId": event_id,
        "eventTime": at,
        "eventType": named,
        "correlationId": cause,
        "domain": resource.api,
        "title": title,
        "description": f"{title}: {representation['id']}",
        "priority": "normal",
        # Misspelt so by the specification.
        "timeOcurred": at,
        "event": payload,
    }
    if changed:
        envelope["fieldPath"] = ",".join(changed)
    if resource.api == "TMF666":
        # What every other API calls event, TMF666 v4 calls payload; queries say event everywhere.
        envelope["payload"] = payload
    return HubEventRaised(
        id=event_id, api=resource.api, event_type=named, resource_id=representation["id"], raised_at=at, envelope=envelope
    )

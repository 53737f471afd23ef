"""Which TMF event a new revision of a stored resource is: created, another state, or other attributes."""

from typing import Any

from libs.contracts import HubEventRaised
from services.tmf_gateway.domain.events import hub_event
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.resource import Resource


def change_event(resource: Resource, after: dict[str, Any], before: dict[str, Any] | None, links: Links, *, state: str) -> HubEventRaised:
    """The event of the revision `after`; `state` names the attribute whose change is a StateChangeEvent."""
    kind, changed = _change(after["resource"], before["resource"] if before else None, state)
    cause = f"{after['_id']}:{after['revision']}"
    return hub_event(resource, kind, resource.render(after, links), cause=cause, at=after["changed_at"], changed=changed)


def end_event(resource: Resource, removed: dict[str, Any], links: Links) -> HubEventRaised:
    """Return the event of the end of a document."""
    return hub_event(resource, "Delete", resource.render(removed, links), cause=removed["_id"], at=removed["changed_at"])


def _change(after: dict[str, Any], before: dict[str, Any] | None, state: str) -> tuple[str, tuple[str, ...]]:
    if before is None:
        return "Create", ()
    if after[state] != before[state]:
        return "StateChange", ()
    return "AttributeValueChange", tuple(sorted(name for name in {*after, *before} if after.get(name) != before.get(name)))

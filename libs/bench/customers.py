"""Customers of the benches: an account with one flat product and one telephone number."""

from collections.abc import Iterator
from datetime import UTC, datetime

from libs.contracts import AccountChanged, AccountState, Fact, PostalAddress, ProductChanged, ProductStatus, ServiceIdentifier

OPENED_AT = datetime(2025, 1, 1, tzinfo=UTC)


def customer(account_id: str, number: int, msisdn: str, *, cycle: str) -> Iterator[Fact]:
    """The facts that open a customer."""
    yield AccountChanged(
        id=account_id,
        revision=1,
        name=f"Customer {number} of the {cycle} cycle",
        state=AccountState.ACTIVE,
        currency="EUR",
        time_zone="Europe/Madrid",
        cycle=cycle,
        tax_category="standard",
        address=PostalAddress(street=f"Calle de la Marina {number}", post_code="08005", city="Barcelona", country="Spain"),
        changed_at=OPENED_AT,
    )
    yield ProductChanged(
        id=f"product-{account_id}",
        revision=1,
        account_id=account_id,
        offering_id="flat",
        name="Flat",
        status=ProductStatus.ACTIVE,
        started_at=OPENED_AT,
        identifiers=(ServiceIdentifier(kind="msisdn", value=msisdn, valid_from=OPENED_AT),),
        changed_at=OPENED_AT,
    )

"""Absolute URLs of resources, under the address at which clients reach the gateway."""

from dataclasses import dataclass
from urllib.parse import quote, unquote

TMF678 = "/tmf-api/customerBillManagement/v4"
TMF666 = "/tmf-api/accountManagement/v4"
TMF637 = "/tmf-api/productInventory/v4"
TMF635 = "/tmf-api/usageManagement/v4"
TMF620 = "/tmf-api/productCatalogManagement/v4"


@dataclass(frozen=True)
class Links:
    """`base_url` without a trailing slash, such as https://api.example.com."""

    base_url: str

    def to(self, base_path: str, resource: str, id: str) -> str:
        """The href of a resource."""
        return f"{self.base_url}{base_path}/{resource}/{quote(id, safe='')}"

    def bill(self, id: str) -> str:
        """The href of a customerBill."""
        return self.to(TMF678, "customerBill", id)

    def bill_document(self, bill_id: str, document_id: str) -> str:
        """Where a rendering of a bill is served."""
        return f"{self.bill(bill_id)}/billDocument/{quote(document_id, safe='')}"

    def account(self, id: str) -> str:
        """The href of a billingAccount."""
        return self.to(TMF666, "billingAccount", id)

    def usage(self, id: str) -> str:
        """The href of a usage."""
        return self.to(TMF635, "usage", id)

    def product(self, id: str) -> str:
        """The href of a product."""
        return self.to(TMF637, "product", id)


def id_of(href: str) -> str:
    """The id that ends an href."""
    return unquote(href.rpartition("/")[2])

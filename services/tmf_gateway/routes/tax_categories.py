"""Which tax categories there are: Tarifa's own door, outside TM Forum's paths."""

from fastapi import APIRouter, Request, Response

from libs.billing import TaxTable
from libs.contracts import PostalAddress
from services.tmf_gateway.domain.tax_categories import TAX_CATEGORIES_PATH, tax_categories
from services.tmf_gateway.http import json_response, now


def tax_category_routes(table: TaxTable) -> APIRouter:
    """GET of the categories that are known at an address."""
    routes = APIRouter()

    @routes.get(TAX_CATEGORIES_PATH)
    async def read_tax_categories(request: Request) -> Response:
        place = request.query_params
        address = PostalAddress(country=place.get("country", ""), state_or_province=place.get("stateOrProvince", ""))
        return json_response(tax_categories(table, address, now().date()))

    return routes

"""Why a rated usage costs what it costs: Tarifa's own door, outside TM Forum's paths."""

from fastapi import APIRouter, Request, Response

from services.tmf_gateway.domain.usage_explanation import EXPLANATION_PATH, usage_explanation
from services.tmf_gateway.http import json_response
from services.tmf_gateway.rated_usages import RatedUsages


def usage_explanation_routes(usages: RatedUsages) -> APIRouter:
    """GET of an explanation."""
    routes = APIRouter()

    # The id of a usage may hold anything, slashes too.
    @routes.get(EXPLANATION_PATH.replace("{id}", "{id:path}"))
    async def read_explanation(request: Request) -> Response:
        rated = await usages.find(request.path_params["id"])
        return json_response(usage_explanation(rated, await usages.books_of(rated)))

    return routes

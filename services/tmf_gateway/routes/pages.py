"""The API's description: /docs for people, /openapi.json for machines. Nothing is fetched from the internet."""

from importlib.resources import as_file, files

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from services.tmf_gateway.domain.openapi import openapi_document
from services.tmf_gateway.http import json_response

STATIC = "/docs/static"


def add_pages(app: FastAPI, public_base_url: str) -> None:
    """Serve the description of the API and Swagger UI's own files."""
    routes = APIRouter()
    document = openapi_document(public_base_url)
    page = get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Tarifa TMF gateway",
        swagger_js_url=f"{STATIC}/swagger-ui-bundle.js",
        swagger_css_url=f"{STATIC}/swagger-ui.css",
        swagger_favicon_url=f"{STATIC}/favicon.png",
    )

    @routes.get("/")
    async def show_docs() -> Response:
        return RedirectResponse("/docs")

    @routes.get("/docs")
    async def read_docs() -> Response:
        return page

    @routes.get("/openapi.json")
    async def read_openapi() -> Response:
        return json_response(document)

    app.include_router(routes)
    with as_file(files("fastapi_offline") / "static") as directory:
        app.mount(STATIC, StaticFiles(directory=directory))

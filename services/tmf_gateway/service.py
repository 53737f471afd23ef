"""Composition root of tmf_gateway."""

from datetime import timedelta
from functools import partial
from pathlib import Path

from fastapi import Depends
from pydantic import Field, field_validator

from libs.billing import parse_tax_rates
from libs.callback_addresses import AllowedNetworks
from libs.contracts import all_facts
from libs.money import minor_unit_decimals
from libs.periods import time_zone
from libs.runtime import RuntimeSettings, Service
from services.tmf_gateway.adoption import ResourceAdoption
from services.tmf_gateway.answers import Answers
from services.tmf_gateway.domain.allowed_hosts import AllowedHosts
from services.tmf_gateway.domain.links import TMF620, TMF637, TMF666, TMF678, Links
from services.tmf_gateway.domain.tmf620 import SCHEMA as TMF620_SCHEMA
from services.tmf_gateway.domain.tmf637 import SCHEMA as TMF637_SCHEMA
from services.tmf_gateway.domain.tmf666 import SCHEMA as TMF666_SCHEMA
from services.tmf_gateway.domain.tmf666 import AccountDefaults
from services.tmf_gateway.domain.tmf678 import SCHEMA as TMF678_SCHEMA
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.handlers import (
    complete_requests,
    hear_answers,
    hear_tariffs,
    publish_outbox,
    raise_bill_events,
    remember_announced,
    show_tariffs,
)
from services.tmf_gateway.http import accepts_json, new_app
from services.tmf_gateway.idempotency import INDEXES as IDEMPOTENCY_INDEXES
from services.tmf_gateway.idempotency import Idempotency
from services.tmf_gateway.outbox import Outbox
from services.tmf_gateway.rated_usages import RatedUsages
from services.tmf_gateway.rating_copies import RatingCopies
from services.tmf_gateway.routes.bill_documents import bill_document_routes
from services.tmf_gateway.routes.bill_preview import bill_preview_routes
from services.tmf_gateway.routes.hub import hub_routes
from services.tmf_gateway.routes.pages import add_pages
from services.tmf_gateway.routes.tax_categories import tax_category_routes
from services.tmf_gateway.routes.tmf620 import tmf620_routes
from services.tmf_gateway.routes.tmf635 import tmf635_routes
from services.tmf_gateway.routes.tmf637 import tmf637_routes
from services.tmf_gateway.routes.tmf666 import tmf666_routes
from services.tmf_gateway.routes.tmf678 import tmf678_routes
from services.tmf_gateway.routes.usage_explanation import usage_explanation_routes
from services.tmf_gateway.sources import Sources
from services.tmf_gateway.store import INDEXES, GatewayStore
from services.tmf_gateway.usages import Usages

TAX_RATES_FILE = Path(__file__).parents[2] / "deploy" / "tax-rates.yaml"


class GatewaySettings(RuntimeSettings):
    """Besides the shared ones: where clients reach the gateway, what accounts get by default, and how long clients wait."""

    http_port: int = Field(8096, validation_alias="GATEWAY_PORT")
    public_base_url: str = Field(
        default_factory=lambda settings: f"http://127.0.0.1:{settings['http_port']}",
        pattern="^https?://[^/]+.*$",
        validation_alias="GATEWAY_PUBLIC_BASE_URL",
    )
    cors_origins: list[str] = Field([], validation_alias="GATEWAY_CORS_ORIGINS")
    allowed_hosts: list[str] = Field([], validation_alias="GATEWAY_ALLOWED_HOSTS")
    hub_allowed_networks: AllowedNetworks = ()
    default_currency: str = Field("EUR", validation_alias="GATEWAY_DEFAULT_CURRENCY")
    default_time_zone: str = Field("UTC", validation_alias="GATEWAY_DEFAULT_TIME_ZONE")
    default_tax_category: str = Field("standard", min_length=1, validation_alias="GATEWAY_DEFAULT_TAX_CATEGORY")
    tax_rates_file: Path = Field(TAX_RATES_FILE, validation_alias="TAX_RATES_FILE", description="The tax table, as invoicing has it")
    answer_wait_s: float = Field(5.0, gt=0, validation_alias="GATEWAY_ANSWER_WAIT_S")
    document_wait_s: float = Field(15.0, gt=0, validation_alias="GATEWAY_DOCUMENT_WAIT_S")
    unanswered_after_s: float = Field(30.0, gt=0, validation_alias="GATEWAY_UNANSWERED_AFTER_S")

    @field_validator("default_currency")
    @classmethod
    def _known_currency(cls, currency: str) -> str:
        minor_unit_decimals(currency)
        return currency

    @field_validator("default_time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        time_zone(zone)
        return zone


def build(settings: GatewaySettings) -> Service:
    """The service with its routes and handlers bound to its store. Raises InvalidTaxRates or OSError for a bad tax table."""
    app = new_app(settings.cors_origins, AllowedHosts(settings.public_base_url, settings.allowed_hosts))
    service = Service("tmf_gateway", settings, indexes=[*INDEXES, *IDEMPOTENCY_INDEXES], http=app)
    store = GatewayStore(service.client, service.database)
    park = service.parking_for(publish_outbox, all_facts())
    outbox = Outbox(store, service.publish, park, settings.topic, timedelta(seconds=settings.unanswered_after_s))
    gateway = Gateway(
        database=service.database,
        store=store,
        sources=Sources(service.client, settings),
        rating_copies=RatingCopies(service.client, settings),
        outbox=outbox,
        idempotency=Idempotency(service.database),
        answers=Answers(),
        publish=service.publish,
        links=Links(settings.public_base_url.rstrip("/")),
        defaults=AccountDefaults(settings.default_currency, settings.default_time_zone, settings.default_tax_category),
        tax_table=parse_tax_rates(settings.tax_rates_file.read_text(encoding="utf-8"), str(settings.tax_rates_file)),
        callback_networks=settings.hub_allowed_networks,
        answer_wait_s=settings.answer_wait_s,
        document_wait_s=settings.document_wait_s,
    )
    for api, base_path, schema, routes in (
        ("TMF678", TMF678, TMF678_SCHEMA, tmf678_routes),
        ("TMF666", TMF666, TMF666_SCHEMA, tmf666_routes),
        ("TMF637", TMF637, TMF637_SCHEMA, tmf637_routes),
        ("TMF620", TMF620, TMF620_SCHEMA, tmf620_routes),
    ):
        app.include_router(routes(gateway), dependencies=[Depends(accepts_json)])
        app.include_router(hub_routes(gateway, api, base_path, schema), dependencies=[Depends(accepts_json)])
    app.include_router(tmf635_routes(gateway, Usages(service.client, settings)), dependencies=[Depends(accepts_json)])
    app.include_router(bill_document_routes(gateway))
    app.include_router(bill_preview_routes(gateway), dependencies=[Depends(accepts_json)])
    app.include_router(usage_explanation_routes(RatedUsages(service.client, settings)), dependencies=[Depends(accepts_json)])
    app.include_router(tax_category_routes(gateway.tax_table), dependencies=[Depends(accepts_json)])
    add_pages(app, settings.public_base_url)
    service.adopt(ResourceAdoption(service.database).adopt)
    service.subscribe(partial(complete_requests, store=store, links=gateway.links))
    service.subscribe(partial(raise_bill_events, store=store, links=gateway.links))
    service.subscribe(partial(remember_announced, store=store))
    service.subscribe(partial(hear_tariffs, store=store, outbox=outbox, links=gateway.links))
    service.subscribe(partial(show_tariffs, store=store, sources=gateway.sources))
    service.subscribe(partial(hear_answers, answers=gateway.answers), every_instance=True)
    service.prepare(outbox.park_former)
    service.background(outbox.tidy)
    return service

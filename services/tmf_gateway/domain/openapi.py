"""The OpenAPI document of the doors that are really open, made from TM Forum's own definitions.

Each operation is described with the parameters the gateway understands (its filters are those of the translation module),
its bodies and the one error body.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.tmf_gateway.domain.bill_preview import PREVIEW_NOTE, PREVIEW_PATH, PREVIEW_TITLE, preview_schema
from services.tmf_gateway.domain.body import JSON, JSON_PATCH, MERGE_PATCH
from services.tmf_gateway.domain.examples import EXAMPLES
from services.tmf_gateway.domain.hub_catalogue import event_types
from services.tmf_gateway.domain.links import TMF620, TMF637, TMF666, TMF678
from services.tmf_gateway.domain.query import OPERATORS, PAGE_SIZE_MAX
from services.tmf_gateway.domain.resource import Kind, Resource, Stored
from services.tmf_gateway.domain.tax_categories import TAX_CATEGORIES_PATH, TAX_CATEGORIES_SCHEMA, TAX_CATEGORIES_TITLE
from services.tmf_gateway.domain.tmf620 import PRODUCT_OFFERING, PRODUCT_OFFERING_PRICE, PRODUCT_SPECIFICATION
from services.tmf_gateway.domain.tmf620 import SCHEMA as TMF620_SCHEMA
from services.tmf_gateway.domain.tmf635 import SCHEMA as TMF635_SCHEMA
from services.tmf_gateway.domain.tmf635 import USAGE
from services.tmf_gateway.domain.tmf637 import PRODUCT
from services.tmf_gateway.domain.tmf637 import SCHEMA as TMF637_SCHEMA
from services.tmf_gateway.domain.tmf666 import BILLING_ACCOUNT
from services.tmf_gateway.domain.tmf666 import SCHEMA as TMF666_SCHEMA
from services.tmf_gateway.domain.tmf678 import APPLIED_BILLING_RATE, BILL_ON_DEMAND, CUSTOMER_BILL
from services.tmf_gateway.domain.tmf678 import SCHEMA as TMF678_SCHEMA
from services.tmf_gateway.domain.usage_explanation import EXPLANATION_PATH, EXPLANATION_SCHEMA, EXPLANATION_TITLE

Description = dict[str, Any]

_SCHEMAS = {"TMF678": TMF678_SCHEMA, "TMF666": TMF666_SCHEMA, "TMF637": TMF637_SCHEMA, "TMF620": TMF620_SCHEMA, "TMF635": TMF635_SCHEMA}
_CATALOGUE = (PRODUCT_OFFERING, PRODUCT_OFFERING_PRICE, PRODUCT_SPECIFICATION)

_INTRODUCTION = f"""
Bills, billing accounts, products and the catalogue over TM Forum Open APIs, version 4.

**Prices.** A productOffering that becomes Launched is priced by its productOfferingPrices from `validFor.startDateTime` on, or from
then: recurring, oneTime and usage (per `unitOfMeasure`). What TMF620 has no word for are characteristics (`prodSpecCharValueUse`) named as
the keys of a rate book, in camel case: `usageType`, `called`, `timeBand`, `increments`, `setupFee`, `graduated`, `proration` …; those of an
offering are `allowances`, `discounts`, `zones`, `timeBands` …  `statusReason` tells whether the prices are in force.

**Filters.** Any attribute marked as a filter compares with `=`; with `.ne=`, `.gt=`, `.gte=`, `.lt=`, `.lte=` or `.regex=` (also
written `%3E`, `%3E%3D`, `%3C`, `%3C%3D`, `*=`); values joined by commas are alternatives, and so are repeated attributes; different
attributes must all hold. `a=v;b=w` are alternatives over attributes and cannot be joined with further filters. Quotes keep
commas in a value: `name="Doe, Jane"`. An unknown attribute is refused with 400.

**Pages.** Without `offset` and `limit` a list answers 200 with up to {PAGE_SIZE_MAX} resources; with them, 206 when there is more.
`X-Total-Count` tells how many match, `X-Result-Count` how many came, `Link` where the others are.

**Errors** carry TM Forum's Error body, whatever went wrong.
"""

_ERRORS = {
    400: "The request is not understood: a parameter, the body, or a reference in it",
    404: "There is no such resource",
    405: "The resource does not know this method; Allow names those it knows",
    406: "The client takes no JSON",
    409: "The present state of the resource forbids it, or the Idempotency-Key came with another body, or created what was deleted since",
    412: "The resource is not the one that If-Match names",
    413: "The body, or the event that would tell of it, is too large",
    415: "The body's media type is not read here",
    416: "The offset lies beyond the matches",
    503: "Another part of the system did not answer in time; ask again",
}
_LIST_HEADERS = {
    "X-Total-Count": "How many resources match",
    "X-Result-Count": "How many of them this answer holds",
    "Link": "first, prev, next and last page, when the answer is not complete",
}
_OPERATOR_NOTE = ", ".join(f"`.{operator}=`" for operator in OPERATORS if operator != "eq")


def openapi_document(public_base_url: str) -> Description:
    """OpenAPI 3.0."""
    paths: dict[str, Description] = {}
    for resource in (CUSTOMER_BILL, APPLIED_BILLING_RATE, BILL_ON_DEMAND, BILLING_ACCOUNT, PRODUCT, USAGE, *_CATALOGUE):
        collection, one = f"{resource.base_path}/{resource.name}", f"{resource.base_path}/{resource.name}/{{id}}"
        paths[collection] = {"get": _list_operation(resource)}
        paths[one] = {"get": _read_operation(resource)}
    _add_bills(paths)
    _add_posts_and_patches(paths)
    _add_deletes(paths)
    for api, base_path in (("TMF678", TMF678), ("TMF666", TMF666), ("TMF637", TMF637), ("TMF620", TMF620)):
        _add_hub(paths, api, base_path)
    paths[PREVIEW_PATH] = {"post": _preview_operation()}
    paths[EXPLANATION_PATH] = {"get": _explanation_operation()}
    paths[TAX_CATEGORIES_PATH] = {"get": _tax_categories_operation()}
    return {
        "openapi": "3.0.3",
        "info": {"title": "Tarifa TMF gateway", "version": "4", "description": _INTRODUCTION},
        "servers": [{"url": public_base_url}],
        "paths": paths,
        "components": {"schemas": dict(_components())},
    }


def _list_operation(resource: Resource) -> Description:
    parameters = [
        _parameter(
            "fields", "Attributes wanted, separated by commas; id and href always come, `none` leaves nothing else", {"type": "string"}
        ),
        _parameter("offset", "How many matches to skip", {"type": "integer", "minimum": 0, "default": 0}),
        _parameter("limit", "How many to return", {"type": "integer", "minimum": 0, "maximum": PAGE_SIZE_MAX}),
        _parameter("sort", "Attributes separated by commas, `-` before one for descending; newest first unless given", {"type": "string"}),
        *_filter_parameters(resource),
    ]
    schema = {"type": "array", "items": _reference(resource.api, resource.definition)}
    answer = {**_answer("The matches", schema), "headers": _headers(_LIST_HEADERS)}
    partial = {**answer, "description": "A page of the matches", "headers": _headers({**_LIST_HEADERS, "Content-Range": "Which of them"})}
    return _operation(resource, f"List {resource.name}", {"200": answer, "206": partial}, (400, 406, 416), parameters)


def _read_operation(resource: Resource) -> Description:
    fields = _parameter("fields", "Attributes wanted, separated by commas", {"type": "string"})
    answer = {**_answer("The resource", _reference(resource.api, resource.definition)), "headers": _headers(_ETAG)}
    unchanged = {"description": "The client has it already"}
    return _operation(resource, f"Read one {resource.name}", {"200": answer, "304": unchanged}, (404, 406), [_ID, fields, _IF_NONE_MATCH])


def _preview_operation() -> Description:
    definitions = TMF678_SCHEMA.definitions()
    schema = _moved(preview_schema(definitions[CUSTOMER_BILL.definition], definitions[APPLIED_BILLING_RATE.definition]), "TMF678")
    return {
        "tags": ["Tarifa bill preview"],
        "summary": PREVIEW_TITLE,
        "description": PREVIEW_NOTE,
        "requestBody": _body("TMF678", f"{BILL_ON_DEMAND.definition}_Create", JSON),
        "responses": {"200": _answer("The bill", schema), **_errors((400, 406, 409, 413, 415, 503))},
    }


def _explanation_operation() -> Description:
    return {
        "tags": ["Tarifa usage"],
        "summary": EXPLANATION_TITLE,
        "parameters": [_ID],
        "responses": {"200": _answer("The explanation", EXPLANATION_SCHEMA), **_errors((404, 406))},
    }


def _tax_categories_operation() -> Description:
    text = {"type": "string"}
    return {
        "tags": ["Tarifa tax categories"],
        "summary": TAX_CATEGORIES_TITLE,
        "parameters": [
            _parameter("country", "Of the address, as billing accounts write it; without one, what holds everywhere", text),
            _parameter("stateOrProvince", "Of the address, where taxes differ within the country", text),
        ],
        "responses": {"200": _answer("The categories", TAX_CATEGORIES_SCHEMA)},
    }


def _filter_parameters(resource: Resource) -> Iterable[Description]:
    for path, stored in sorted(_filters(resource).items()):
        if path != "href":
            yield _parameter(path, f"Filter; also {_OPERATOR_NOTE}" if _has_order(stored) else "Filter; also `.ne=`", {"type": "string"})


def _filters(resource: Resource) -> dict[str, Stored]:
    """The attributes, and those one level below, by which a resource can be filtered."""
    schema = _SCHEMAS[resource.api]
    # An attribute that is called as an operator is would be taken for it.
    paths = [path for path in schema.paths(resource.definition, depth=2) if not _is_hidden(path.rpartition(".")[2])]
    return {path: stored for path in paths if (stored := resource.locate(path)) is not None}


def _is_hidden(name: str) -> bool:
    return name.startswith("@") or name in OPERATORS


def _has_order(stored: Stored) -> bool:
    return stored.words is None and stored.kind not in (Kind.HREF, Kind.BOOLEAN)


def _add_bills(paths: dict[str, Description]) -> None:
    update = _patch_body("TMF678", "CustomerBill_Update")
    changed = _answer("The bill afterwards; unchanged when it already was in that state", _reference("TMF678", "CustomerBill"))
    paths[f"{TMF678}/customerBill/{{id}}"]["patch"] = {
        **_operation(
            CUSTOMER_BILL, "Change the state of a bill", {"200": changed}, (400, 404, 406, 409, 412, 413, 415, 503), [_ID, _IF_MATCH]
        ),
        "description": "new, onHold, validated and sent can be asked for; partiallyPaid and settled come from payments (409).",
        "requestBody": update,
    }
    document = {"description": "The document", "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
    document_id = {"name": "documentId", "in": "path", "required": True, "schema": {"type": "string"}}
    paths[f"{TMF678}/customerBill/{{id}}/billDocument/{{documentId}}"] = {
        "get": _operation(CUSTOMER_BILL, "Read a rendered bill", {"200": document}, (404, 503), [_ID, document_id])
    }


def _add_posts_and_patches(paths: dict[str, Description]) -> None:
    for resource, title, errors in (
        (BILL_ON_DEMAND, "Ask for a bill now", _POST_ERRORS),
        (BILLING_ACCOUNT, "Open a billing account", _POST_ERRORS),
        (PRODUCT, "Open a product", _POST_ERRORS),
        *((resource, f"Create a {resource.name}", _POST_ERRORS) for resource in _CATALOGUE),
    ):
        created = _answer("Created; Location is its href", _reference(resource.api, resource.definition))
        created["headers"] = _headers({"Location": "The href of the resource", **_ETAG})
        paths[f"{resource.base_path}/{resource.name}"]["post"] = {
            **_operation(resource, title, {"201": created}, errors, [_IDEMPOTENCY_KEY]),
            "requestBody": _body(resource.api, f"{resource.definition}_Create", JSON),
        }
    for resource in (BILLING_ACCOUNT, PRODUCT, *_CATALOGUE):
        answer = _answer("The resource afterwards", _reference(resource.api, resource.definition))
        paths[f"{resource.base_path}/{resource.name}/{{id}}"]["patch"] = {
            **_operation(resource, f"Change a {resource.name}", {"200": answer}, (400, 404, 406, 409, 412, 413, 415), [_ID, _IF_MATCH]),
            "description": "JSON Merge Patch (null removes an attribute, lists are replaced whole) or JSON Patch. What GET shows can be "
            "sent back: what the server sets is refused only if it is another value.",
            "requestBody": _patch_body(resource.api, f"{resource.definition}_Update"),
        }


def _add_deletes(paths: dict[str, Description]) -> None:
    for resource in (BILLING_ACCOUNT, PRODUCT, *_CATALOGUE):
        gone = {"204": {"description": "Deleted"}}
        operation = _operation(resource, f"Delete a {resource.name}", gone, (404, 406, 409, 412), [_ID, _IF_MATCH])
        paths[f"{resource.base_path}/{resource.name}/{{id}}"]["delete"] = operation


def _add_hub(paths: dict[str, Description], api: str, base_path: str) -> None:
    schema = _reference(api, "EventSubscription")
    subscription = _answer("Subscribed; Location names it", schema)
    tags = [f"{api} events subscription"]
    paths[f"{base_path}/hub"] = {
        "get": {
            "tags": tags,
            "summary": "List the subscriptions (an extension: TM Forum's hub has no GET)",
            "responses": {"200": _answer("The subscriptions", {"type": "array", "items": schema}), **_errors((400, 406, 416))},
        },
        "post": {
            "tags": tags,
            "summary": "Subscribe to events",
            "description": "`query` chooses events and attributes: `eventType=CustomerBillCreateEvent&fields=event.customerBill.id`. "
            f"{api} raises {', '.join(sorted(event_types(api)))}.",
            "parameters": [_IDEMPOTENCY_KEY],
            "requestBody": _body(api, "EventSubscriptionInput", JSON),
            "responses": {"201": subscription, **_errors(_POST_ERRORS)},
        },
    }
    paths[f"{base_path}/hub/{{id}}"] = {
        "get": {
            "tags": tags,
            "summary": "Read a subscription (an extension)",
            "parameters": [_ID],
            "responses": {"200": _answer("The subscription", schema), **_errors((404, 406))},
        },
        "delete": {
            "tags": tags,
            "summary": "Unsubscribe",
            "parameters": [_ID],
            "responses": {"204": {"description": "Unsubscribed"}, **_errors((404, 406))},
        },
    }


def _header(name: str, description: str) -> Description:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_IF_MATCH = _header("If-Match", "ETag of the state that was read; 412 when the resource has changed since")
_IF_NONE_MATCH = _header("If-None-Match", "ETag of what the client has; 304 when it is unchanged")
_IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "Sent again with the same body it gets the first answer, for 24 hours, and later the resource as it is then, or 409 where it was "
    "deleted; with another body 409",
)
_POST_ERRORS = (400, 406, 409, 413, 415)
_ETAG = {"ETag": "Stands for this state of the resource"}
_JSON_PATCH_SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    },
}


def _operation(
    resource: Resource, summary: str, answers: Description, errors: Iterable[int], parameters: Iterable[Description] = ()
) -> Description:
    return {
        "tags": [f"{resource.api} {resource.name}"],
        "summary": summary,
        "parameters": list(parameters),
        "responses": {**answers, **_errors(errors)},
    }


def _parameter(name: str, description: str, schema: Description) -> Description:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answer(description: str, schema: Description) -> Description:
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _errors(statuses: Iterable[int]) -> Description:
    return {str(status): _answer(_ERRORS[status], _reference("TMF678", "Error")) for status in statuses}


def _headers(described: Mapping[str, str]) -> Description:
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in described.items()}


def _body(api: str, definition: str, *media_types: str) -> Description:
    shown = {"schema": _reference(api, definition), "example": EXAMPLES[api, definition]}
    return {"required": True, "content": dict.fromkeys(media_types, shown)}


def _patch_body(api: str, definition: str) -> Description:
    body = _body(api, definition, JSON, MERGE_PATCH)
    name, value = next(iter(EXAMPLES[api, definition].items()))
    example = [{"op": "add", "path": f"/{name}", "value": value}]
    return {**body, "content": {**body["content"], JSON_PATCH: {"schema": _JSON_PATCH_SCHEMA, "example": example}}}


def _reference(api: str, definition: str) -> Description:
    return {"$ref": f"#/components/schemas/{api}.{definition}"}


def _components() -> Iterable[tuple[str, Description]]:
    """Every definition under its API's name, since several APIs define a Money of their own."""
    for api, schema in _SCHEMAS.items():
        for name, definition in schema.definitions().items():
            if "Event" not in name or name.startswith("EventSubscription"):
                yield f"{api}.{name}", _moved(definition, api)


def _moved(schema: Any, api: str) -> Any:
    if isinstance(schema, list):
        return [_moved(item, api) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return _reference(api, schema["$ref"].removeprefix("#/definitions/"))
    return {key: _moved(value, api) for key, value in schema.items()}

"""Resources as a specification's definitions describe them: what a client's body must look like, and how attributes compare.

The definitions of TM Forum's v4 files use only types, formats, enumerations, references, arrays and required names.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from libs.exact_decimal import MONEY_ENTERED, InvalidDecimal
from libs.periods import to_utc_milliseconds
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Kind

TEXT_LENGTH_MAX = 4_096
_MONEY = "Money"
_SCALARS: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, Decimal), "integer": (int,), "boolean": (bool,)}
_KINDS = {"number": Kind.NUMBER, "integer": Kind.NUMBER, "boolean": Kind.BOOLEAN, "string": Kind.TEXT}


class Schema:
    """The definitions of one specification, and the attributes that Tarifa adds to some of them."""

    def __init__(self, definitions: Mapping[str, Any], extensions: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._definitions = definitions
        self._extensions = extensions or {}

    def definitions(self) -> dict[str, Any]:
        """Every definition, with what Tarifa adds."""
        return {
            name: {**definition, "properties": self._properties(name)} if "properties" in definition else definition
            for name, definition in self._definitions.items()
        }

    def paths(self, name: str, depth: int) -> Iterator[str]:
        """The dotted paths of a definition's attributes, down to `depth` steps."""
        for attribute, schema in self._properties(name).items():
            yield attribute
            if depth > 1:
                inner = self.paths(self._name(schema.get("items", schema)), depth - 1)
                yield from (f"{attribute}.{path}" for path in inner)

    def attributes(self, name: str) -> frozenset[str]:
        """The first-level names of a definition."""
        return frozenset(self._properties(name))

    def kind(self, name: str, path: str) -> Kind | None:
        """How the attribute at a path compares; None where the path names an object, or nothing."""
        schema = self._at(name, path)
        if not schema:
            return None
        if "$ref" in schema:
            target = self._definitions[self._name(schema)]
            return Kind.ANY if not target.get("properties") and "enum" not in target else Kind.TEXT if "enum" in target else None
        return Kind.INSTANT if schema.get("format") == "date-time" else _KINDS.get(schema.get("type", ""))

    def words(self, name: str, path: str) -> tuple[str, ...]:
        """Return the words that the attribute at a path may have; none where the specification names none."""
        schema = self._at(name, path)
        return tuple(self._definitions.get(self._name(schema), schema).get("enum", ()))

    def _at(self, name: str, path: str) -> Mapping[str, Any]:
        """Return the schema of the attribute at a path; empty where there is none."""
        schema: Mapping[str, Any] = {"$ref": f"#/definitions/{name}"}
        for step in path.split("."):
            schema = self._properties(self._name(schema)).get(step, {})
            schema = schema.get("items", schema)
        return schema

    def conform(self, name: str, body: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
        """The body with nulls left out and date-times as instants. Unknown attributes are extensions and stay.
        Raises BadRequest naming the attribute that is missing or of another type."""
        return self._object(name, body, "", required)

    def check_types(self, name: str, body: Mapping[str, Any]) -> None:
        """Look at the types of a resource's attributes at every level, before anything else reads them. What is missing is no fault.
        Raises BadRequest naming the attribute that is of another type, or an @type that is another definition's."""
        self._object(f"{name}_Create", body, "", required=False)
        self._object(name, body, "", required=False)
        self._check_type_name(name, body.get("@type"))
        # Some definitions have it as any text.
        if body.get("@schemaLocation") is not None:
            _scalar({"type": "string", "format": "uri"}, body["@schemaLocation"], "@schemaLocation")

    def _check_type_name(self, name: str, type_name: str | None) -> None:
        if type_name is None or type_name == name:
            return
        if not type_name.strip():
            raise BadRequest("@type must not be blank")
        if type_name in self._definitions:
            raise BadRequest(f"@type: a {type_name} is no kind of {name}; leave it out, or name a kind of your own")

    def _properties(self, name: str) -> dict[str, Any]:
        return {**self._definitions.get(name, {}).get("properties", {}), **self._extensions.get(name, {})}

    @staticmethod
    def _name(schema: Mapping[str, Any]) -> str:
        return schema.get("$ref", "").removeprefix("#/definitions/")

    def _object(self, name: str, value: Any, path: str, required: bool) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise BadRequest(f"{path} must be an object")
        properties = self._properties(name)
        missing = [key for key in self._definitions[name].get("required", ()) if value.get(key) is None]
        if missing and required:
            raise BadRequest(f"{f'{path} lacks' if path else 'missing'} {', '.join(missing)}")
        if name == _MONEY:
            _check_money(value.get("value"), path)
        return {
            key: self._value(properties[key], member, f"{path}.{key}" if path else key, required) if key in properties else member
            for key, member in _without_nulls(value).items()
        }

    def _value(self, schema: Mapping[str, Any], value: Any, path: str, required: bool) -> Any:
        if "$ref" in schema:
            target = self._definitions[self._name(schema)]
            if target.get("properties"):
                return self._object(self._name(schema), value, path, required)
            return self._value(target, value, path, required) if "enum" in target else value
        if schema["type"] == "array":
            if not isinstance(value, list) or len(value) < schema.get("minItems", 0):
                raise BadRequest(f"{path} must be a list{f' of at least {least}' if (least := schema.get('minItems', 0)) else ''}")
            return [self._value(schema["items"], item, f"{path}[{index}]", required) for index, item in enumerate(value)]
        return _scalar(schema, value, path)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def _scalar(schema: Mapping[str, Any], value: Any, path: str) -> Any:
    if schema.get("format") == "date-time":
        return parse_instant(value, path)
    # In Python a bool is an int; in JSON it is not.
    if not isinstance(value, _SCALARS[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        raise BadRequest(f"{path} must be of type {schema['type']}")
    if "enum" in schema and value not in schema["enum"]:
        raise BadRequest(f"{path} must be one of {', '.join(schema['enum'])}")
    if isinstance(value, str) and len(value) > TEXT_LENGTH_MAX:
        raise BadRequest(f"{path} is longer than {TEXT_LENGTH_MAX} characters")
    if schema.get("format") == "uri" and not _is_uri(str(value)):
        raise BadRequest(f"{path} must be an absolute URI such as https://example.com/schema.json")
    return value


def _check_money(value: Any, path: str) -> None:
    if isinstance(value, int | Decimal):
        try:
            MONEY_ENTERED.check(Decimal(value))
        except InvalidDecimal as error:
            raise BadRequest(f"{path}.value: {error}") from None


def _is_uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and (parts.netloc or parts.path)) and not any(character <= " " for character in text)


def parse_instant(value: Any, path: str) -> datetime:
    """An RFC 3339 date-time; without an offset it is in UTC. Raises BadRequest."""
    if isinstance(value, datetime):
        return value
    try:
        instant = datetime.fromisoformat(value)
        return to_utc_milliseconds(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
    except (TypeError, ValueError, OverflowError):
        raise BadRequest(f"{path} must be a date-time such as 2026-03-01T00:00:00Z") from None

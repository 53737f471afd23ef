"""Facts of which there are tens of thousands a second: msgspec structs, for pydantic's models take three times as long.

A hot fact declares its topic and key as any fact does, and has the same interface:

    class UsageReceived(HotFact, topic="usage.received.v1", key="identifier"): ...

Built in code, its values are taken as they are; read from a message, they are checked.
"""

from datetime import datetime
from decimal import Decimal
from inspect import cleandoc
from typing import Annotated, Any, ClassVar, Self

import msgspec
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from libs.contracts.fact import ID_LENGTH_MAX, Fact, register_fact
from libs.exact_decimal import KEPT
from libs.periods import valid_instant

HotId = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_LENGTH_MAX)]

_NUL = "\x00"
# The one way to write NUL in JSON; without it in a message there is nothing to look for in its texts.
_ESCAPED_NUL = rb"\u0000"
_encode = msgspec.json.Encoder().encode


class _HotFactMeta(msgspec.StructMeta):
    def __new__(
        mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], topic: str | None = None, key: str = "", partitions: int = 4
    ) -> Any:
        # No garbage collection: a fact never refers to itself, and batches of them need not be looked through.
        cls: Any = super().__new__(mcs, name, bases, namespace, frozen=True, gc=False, kw_only=True, omit_defaults=True)
        if topic is not None:
            cls.topic, cls.key_field, cls.partitions = topic, key, partitions
            register_fact(cls)
        return cls


class HotFact(Fact, msgspec.Struct, metaclass=_HotFactMeta):
    """Something that happens very often."""

    _decoder: ClassVar[msgspec.json.Decoder | None] = None

    def to_message(self) -> bytes:
        """The body of the Kafka message."""
        return _encode(self)

    @classmethod
    def _parse(cls, body: bytes) -> Self:
        decoder = cls._decoder
        if decoder is None:
            decoder = cls._decoder = msgspec.json.Decoder(cls)
        fact = decoder.decode(body)
        fact.check_message(body)
        if _ESCAPED_NUL in body and _has_nul(msgspec.to_builtins(fact)):
            raise ValueError("a text has a NUL character")
        return fact

    def check_message(self, body: bytes) -> None:
        """Check what types cannot say of a fact that was read from this message. Raises ValueError."""
        _check_values(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            # Within another fact it is read as its own message would be: what one reader refuses, so does the other.
            lambda value: value if isinstance(value, cls) else cls.from_message(msgspec.json.encode(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(msgspec.to_builtins),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return cls.json_schema()

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """What a message must be."""
        return cls.json_schemas()[cls.__name__]

    @classmethod
    def json_schemas(cls) -> dict[str, dict[str, Any]]:
        """What a message must be, and each struct within it, by name. msgspec calls decimals texts, though it reads numbers as well."""
        _, schemas = msgspec.json.schema_components([cls], ref_template="#/components/schemas/{name}")
        return {name: _told_truly(schema) for name, schema in schemas.items()}


def _check_values(value: Any) -> None:
    if isinstance(value, Decimal):
        KEPT.check(value)
    elif isinstance(value, int):
        KEPT.check(Decimal(value))
    elif isinstance(value, datetime):
        valid_instant(value)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _check_values(getattr(value, name))
    elif isinstance(value, tuple):
        for part in value:
            _check_values(part)


def _told_truly(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: {"anyOf": [{"type": "number"}, {"type": "string"}]} if field.get("format") == "decimal" else field
        for name, field in schema["properties"].items()
    }
    return {**schema, "description": cleandoc(schema["description"]), "properties": properties}


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return _NUL in value
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return any(_has_nul(part) for part in value)
    return False

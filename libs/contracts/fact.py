"""What a fact is: one frozen class that is the Kafka message, the stored record and the word of the domain.

A fact names its topic and the field that keys it, so publisher and subscriber cannot disagree:

    class BillIssued(RecordFact, topic="bill.issued.v1", key="account_id"): ...

Optional fields may be added freely; any other change is a new class with a new topic version.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

# MongoDB refuses NUL in keys and indexes cut long values: every text of a fact is bounded and free of NUL.
ID_LENGTH_MAX = 256
TEXT_LENGTH_MAX = 4096
Id = Annotated[str, StringConstraints(min_length=1, max_length=ID_LENGTH_MAX, pattern=r"^[^\x00]+$")]
Text = Annotated[str, StringConstraints(max_length=TEXT_LENGTH_MAX, pattern=r"^[^\x00]*$")]
REASON_LENGTH_MAX = 2000

# What reading a body raises, by msgspec, by pydantic and by the validators of a class.
_READ_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

_facts_by_topic: dict[str, type["Fact"]] = {}


class MalformedFact(ValueError):
    """A message is not the fact that its topic promises; the text says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason[:REASON_LENGTH_MAX])


def register_fact(cls: type["Fact"]) -> None:
    """Let a class be the fact of its topic."""
    if cls.topic in _facts_by_topic and _facts_by_topic[cls.topic].__qualname__ != cls.__qualname__:
        raise TypeError(f"topic {cls.topic} already belongs to {_facts_by_topic[cls.topic].__name__}")
    _facts_by_topic[cls.topic] = cls


class Record(BaseModel):
    """A value inside facts and documents: frozen, and forgiving of fields that a newer version added."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Fact:
    """Something that happened. `topic` carries the version, `key_field` decides what is kept in order.

    `ordered`: where one is parked, later ones of the same key wait behind it. A fact says so if handling a later one first, and
    this one afterwards, comes to something else. A fact that tells a whole state with its revision does not: the newest one wins.
    """

    __slots__ = ()

    topic: ClassVar[str]
    key_field: ClassVar[str]
    partitions: ClassVar[int]
    ordered: ClassVar[bool] = False

    @property
    def key(self) -> str:
        """What orders this fact among its like: usually the account."""
        return getattr(self, self.key_field)

    def to_message(self) -> bytes:
        """The body of the Kafka message."""
        raise NotImplementedError

    @classmethod
    def from_message(cls, body: bytes) -> Self:
        """Parse a Kafka message. Raises MalformedFact, and nothing else, for every body that is not this fact."""
        try:
            return cls._parse(body)
        except _READ_ERRORS as error:
            raise MalformedFact(_fault_of(error)) from error

    @classmethod
    def _parse(cls, body: bytes) -> Self:
        raise NotImplementedError


class RecordFact(Record, Fact):
    """A fact that is a pydantic model, as nearly all are."""

    def __init_subclass__(
        cls, topic: str | None = None, key: str | None = None, partitions: int = 4, ordered: bool = False, **kwargs
    ) -> None:
        super().__init_subclass__(**kwargs)
        if topic is None or key is None:
            raise TypeError(f"{cls.__name__} must name its topic and its key")
        cls.topic, cls.key_field, cls.partitions, cls.ordered = topic, key, partitions, ordered
        register_fact(cls)

    def to_message(self) -> bytes:
        """The body of the Kafka message."""
        return self.__pydantic_serializer__.to_json(self)

    @classmethod
    def _parse(cls, body: bytes) -> Self:
        return cls.__pydantic_validator__.validate_json(body)


def _fault_of(error: Exception) -> str:
    """Return what is wrong, field by field where the error tells it."""
    if isinstance(error, ValidationError):
        faults = error.errors(include_url=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults)
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def all_facts() -> Iterator[type[Fact]]:
    """Every fact class by topic name; topics are created from this."""
    return iter(sorted(_facts_by_topic.values(), key=lambda fact: fact.topic))

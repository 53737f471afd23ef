"""How a service lives: settings, broker, subscriptions, parking, health, metrics, logs, MongoDB."""

from typing import TYPE_CHECKING, Any

from libs.runtime.mongo import Index, from_document, in_transaction, to_document
from libs.runtime.parking.unprocessable import Unprocessable
from libs.runtime.settings import RuntimeSettings
from libs.runtime.subscription import Batch, Malformed

if TYPE_CHECKING:
    from libs.runtime.service import Service

__all__ = ["Batch", "Index", "Malformed", "RuntimeSettings", "Service", "Unprocessable", "from_document", "in_transaction", "to_document"]


def __getattr__(name: str) -> Any:
    # FastAPI and FastStream come with it: commands and tools that only read settings or documents start in half the time without.
    if name == "Service":
        from libs.runtime.service import Service

        return Service
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

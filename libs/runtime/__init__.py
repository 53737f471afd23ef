"""How a service lives: settings, broker, subscriptions, parking, health, metrics, logs, MongoDB."""

from libs.runtime.mongo import Index, from_document, in_transaction, to_document
from libs.runtime.parking import Unprocessable
from libs.runtime.service import Service
from libs.runtime.settings import RuntimeSettings
from libs.runtime.subscription import Batch, Malformed

__all__ = ["Batch", "Index", "Malformed", "RuntimeSettings", "Service", "Unprocessable", "from_document", "in_transaction", "to_document"]

"""Structured logs: JSON for machines, coloured lines for people, with the ids of what is being handled bound to each line.

The runtime binds service, handler and, for a batch of one, `ids_of` its fact; more can be bound with
`structlog.contextvars.bound_contextvars(bill_id=…)`.
"""

import logging
import sys

import structlog
from structlog.typing import Processor

from libs.contracts import Fact

ID_FIELDS = ("id", "account_id", "product_id", "usage_id", "suspense_id", "bill_id", "cut_id", "cause_id", "request_id")


def ids_of(fact: Fact) -> dict[str, str]:
    """What a log line about a fact names: its topic, and whichever ids it has."""
    found = {field: getattr(fact, field, None) for field in ID_FIELDS}
    return {"fact": fact.topic, **{field: value for field, value in found.items() if value is not None}}


def configure_logs(log_format: str, log_level: str) -> None:
    """Send structlog and the standard library's loggers through one renderer to standard error."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    json = log_format == "json"
    # Plain tracebacks: rich ones print local variables, and those hold customers' data.
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    finish: list[Processor] = [structlog.processors.format_exc_info, renderer] if json else [renderer]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *finish],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(log_level)
    # They repeat at INFO what our own lines and metrics say.
    for noisy in ("aiokafka", "uvicorn.access", "pymongo", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

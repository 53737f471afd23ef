"""Structured logs: JSON for machines, coloured lines for people, with the ids of what is being handled bound to each line.

The runtime binds service, handler and, for a batch of one, `ids_of` its fact; more can be bound with
`structlog.contextvars.bound_contextvars(bill_id=…)`.
"""

import logging
import sys
import time

import structlog
from structlog.typing import Processor

from libs.contracts import Fact

ID_FIELDS = ("id", "account_id", "product_id", "usage_id", "suspense_id", "bill_id", "cut_id", "cause_id", "request_id")

# While Kafka is away every consumer says so many times a second, and hundreds of lines tell no more than one.
REPEATED_EVERY_S = 10.0
TEMPLATES_REMEMBERED_MAX = 1_000


class Seldom(logging.Filter):
    """Lets what a library and its modules say through once in a while: each message template, whatever its arguments."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._told_at: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to tell it."""
        if not record.name.startswith(self.name):
            return True
        now = time.monotonic()
        said = (record.name, record.levelno, str(record.msg))
        if now - self._told_at.get(said, -REPEATED_EVERY_S) < REPEATED_EVERY_S:
            return False
        if len(self._told_at) >= TEMPLATES_REMEMBERED_MAX:
            self._told_at.clear()
        self._told_at[said] = now
        return True


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
    handler.addFilter(Seldom("aiokafka"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(log_level)
    # They repeat at INFO what our own lines and metrics say.
    for noisy in ("aiokafka", "uvicorn.access", "pymongo", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

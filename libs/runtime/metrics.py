"""The metrics of every service, by name, in one list."""

from prometheus_client import Counter, Gauge, Histogram

CONSUMED = Counter("tarifa_messages_consumed_total", "Messages handled", ["service", "handler"])
PUBLISHED = Counter("tarifa_facts_published_total", "Facts published", ["service", "topic"])
PARKED = Counter("tarifa_messages_parked_total", "Messages parked", ["service", "handler"])
RETRIES = Counter("tarifa_batch_retries_total", "Batches handled again after an error", ["service", "handler"])
BATCH_SECONDS = Histogram("tarifa_batch_seconds", "Time from batch received to batch published", ["service", "handler"])
PARKED_NOW = Gauge("tarifa_parked_messages", "Messages that are parked or wait behind one, now", ["service", "handler", "state"])
PARKED_SINCE = Gauge(
    "tarifa_parked_oldest_timestamp_seconds", "When the oldest message that is open now was parked; 0 when none is", ["service", "handler"]
)
HANGS_SINCE = Gauge(
    "tarifa_handler_hangs_since_timestamp_seconds",
    "Since when a handler retries the same batch; 0 when it does not",
    ["service", "handler"],
)
RETRIES_IN_A_ROW = Gauge("tarifa_handler_retries_in_a_row", "Retries of the batch in hand", ["service", "handler"])
DELETED_UNREAD = Counter(
    "tarifa_messages_deleted_unread_total", "Messages that Kafka deleted before they were read", ["service", "handler", "topic"]
)
GAPS_OPEN = Gauge("tarifa_gaps_open", "Gaps that nobody has closed", ["service"])
HUB_ATTEMPTS = Counter("tarifa_hub_attempts_total", "Attempts to deliver a hub event, by the state that followed", ["state"])
GLYPHS_MISSING = Counter("tarifa_document_texts_without_glyph_total", "Texts of rendered documents that no font had glyphs for")

"""The metrics of every service, by name, in one list."""

from prometheus_client import Counter, Gauge, Histogram

CONSUMED = Counter("tarifa_messages_consumed_total", "Messages handled", ["service", "handler"])
PUBLISHED = Counter("tarifa_facts_published_total", "Facts published", ["service", "topic"])
PARKED = Counter("tarifa_messages_parked_total", "Messages parked", ["service", "handler"])
RETRIES = Counter("tarifa_batch_retries_total", "Batches handled again after an error", ["service", "handler"])
BATCH_SECONDS = Histogram("tarifa_batch_seconds", "Time from batch received to batch published", ["service", "handler"])
HALTED = Gauge("tarifa_consumer_halted", "1 when a consumer stopped after too many parkings in a row", ["service", "handler"])
HUB_ATTEMPTS = Counter("tarifa_hub_attempts_total", "Attempts to deliver a hub event, by the state that followed", ["state"])
GLYPHS_MISSING = Counter("tarifa_document_texts_without_glyph_total", "Texts of rendered documents that no font had glyphs for")

"""The process behind the in-memory stand-in for Kafka: `python -m libs.devstack.memory_cluster FILE` writes its address to FILE."""

import signal
import sys
from pathlib import Path

from confluent_kafka import Producer

from libs.contracts import all_facts
from libs.runtime import RuntimeSettings

METADATA_TIMEOUT_S = 10.0


def serve(address: Path) -> None:
    """Run the cluster until a signal ends it."""
    address.unlink(missing_ok=True)
    cluster = Producer({"bootstrap.servers": "replaced by the test cluster", "test.mock.num.brokers": 1})
    settings = RuntimeSettings()
    # It cannot create topics on request, but makes those that a client asks about.
    for fact in all_facts():
        cluster.list_topics(settings.topic(fact.topic), timeout=METADATA_TIMEOUT_S)
    brokers = cluster.list_topics(timeout=METADATA_TIMEOUT_S).brokers.values()
    address.write_text(",".join(f"{broker.host}:{broker.port}" for broker in brokers))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    serve(Path(sys.argv[1]))

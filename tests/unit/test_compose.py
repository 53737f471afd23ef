"""docker-compose.yml: valid, and in agreement with what `tarifa up` starts."""

import subprocess
from typing import Any

import pytest
import yaml

from libs.devstack.compose import docker_compose_is_installed
from libs.devstack.settings import PROJECT_ROOT, SERVICES, StackSettings, port_variable

OTHERS = {"kafka", "mongodb", "topics"}


@pytest.fixture
def compose() -> dict[str, Any]:
    return yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())


@pytest.mark.skipif(not docker_compose_is_installed(), reason="no docker compose here")
def test_docker_compose_accepts_the_file() -> None:
    checked = subprocess.run(["docker", "compose", "config", "--quiet"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_compose_runs_every_service_under_its_name(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) - OTHERS == set(SERVICES)
    for name in SERVICES:
        assert compose["services"][name]["command"] == f"python -m services.{name}"


@pytest.mark.parametrize("name", SERVICES)
def test_compose_asks_each_service_on_its_own_port_whether_it_is_ready(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    port = StackSettings.model_fields[port_variable(name).lower()].default
    assert service["environment"]["READY_URL"] == f"http://127.0.0.1:{port}/health/ready"
    assert "READY_URL" in service["healthcheck"]["test"][1]


def test_compose_keeps_the_data_of_kafka_and_mongodb_in_volumes(compose: dict[str, Any]) -> None:
    kept = {volume.split(":")[0] for name in ("kafka", "mongodb") for volume in compose["services"][name]["volumes"]}
    assert kept == set(compose["volumes"])

"""Where the stack lives and listens, from the environment: KAFKA_PORT, MONGODB_PORT, GATEWAY_PORT, TARIFA_HOME …"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.devstack.ports import free_port

PROJECT_ROOT = Path(__file__).parents[2]
SERVICES = ("rating", "ledger", "invoicing", "on_demand_bill", "operations", "notifications", "tmf_gateway")


class StackSettings(BaseSettings):
    """`kafka_bootstrap_servers` and `mongodb_url` name servers that are there already; without them `tarifa up` starts its own."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    kafka_bootstrap_servers: str | None = None
    mongodb_url: str | None = None
    namespace: str = Field("", validation_alias="TARIFA_NAMESPACE")
    home: Annotated[Path, AfterValidator(Path.absolute)] = Field(PROJECT_ROOT / ".tarifa", validation_alias="TARIFA_HOME")
    kafka_port: int = Field(9092, gt=0, lt=65536)
    kafka_controller_port: int = Field(9093, gt=0, lt=65536)
    mongodb_port: int = Field(27017, gt=0, lt=65536)
    gateway_port: int = Field(8096, gt=0, lt=65536)
    rating_port: int = Field(8097, gt=0, lt=65536)
    operations_port: int = Field(8098, gt=0, lt=65536)
    ledger_port: int = Field(8101, gt=0, lt=65536)
    invoicing_port: int = Field(8102, gt=0, lt=65536)
    on_demand_bill_port: int = Field(8103, gt=0, lt=65536)
    notifications_port: int = Field(8104, gt=0, lt=65536)

    def service_port(self, service: str) -> int:
        """The port of one of SERVICES."""
        return getattr(self, port_variable(service).lower())

    def on_free_ports(self) -> Self:
        """The same with Kafka and MongoDB on ports that nobody uses, so that they meet no stack that runs."""
        return self.model_copy(update={name: free_port() for name in ("kafka_port", "kafka_controller_port", "mongodb_port")})


def port_variable(service: str) -> str:
    """The environment variable that a service reads its port from."""
    return f"{service.removeprefix('tmf_').upper()}_PORT"

"""Settings that every service shares; each service extends this class with its own, read from the environment."""

import re
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict


class DocumentedVariables(EnvSettingsSource):
    """The environment, read by documented names alone: a field with an alias answers to its own name in code only.
    Else a NAMESPACE that a machine sets for something else would move all topics and databases."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self.config = {**self.config, "populate_by_name": False}


class RuntimeSettings(BaseSettings):
    """Environment variables, upper case: KAFKA_BOOTSTRAP_SERVERS, MONGODB_URL, TARIFA_NAMESPACE, HTTP_HOST …"""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True)

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_session_timeout_ms: int = Field(
        10_000, ge=6_000, description="After so long without a sign of life a consumer's work goes to others"
    )
    mongodb_url: str = "mongodb://127.0.0.1:27017/?replicaSet=rs0"
    namespace: str = Field("", validation_alias="TARIFA_NAMESPACE", description="Prefix of topics, groups and databases")
    topic_usage_retention_days: int = Field(30, gt=0, description="Kafka keeps received usage so long")
    topic_fact_retention_days: int = Field(90, gt=0, description="Kafka keeps other facts so long")
    backup_interval_days_max: int = Field(14, gt=0, description="The longest time between two backups: topics keep more than that")
    http_host: str = "127.0.0.1"
    http_port: int = 0
    log_format: str = Field("console", pattern="^(json|console)$")
    log_level: str = "INFO"

    @model_validator(mode="after")
    def _topics_outlast_backups(self) -> Self:
        kept = min(self.topic_usage_retention_days, self.topic_fact_retention_days)
        if kept <= self.backup_interval_days_max:
            raise ValueError(
                f"topics keep {kept} days and backups may be {self.backup_interval_days_max} days apart: what was published between would "
                "be lost by a restore; raise TOPIC_USAGE_RETENTION_DAYS and TOPIC_FACT_RETENTION_DAYS or back up more often"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller gives, then the environment; nothing else is read."""
        return init_settings, DocumentedVariables(settings_cls)

    def topic(self, name: str) -> str:
        """The name of a topic on the broker."""
        return f"{self.namespace}.{name}" if self.namespace else name

    def database(self, service: str) -> str:
        """The name of a service's database."""
        return f"{self.namespace}_{service}" if self.namespace else service


def without_password(address: str) -> str:
    """Return an address as people may see it: user and password are left out."""
    return re.sub(r"//[^@/]*@", "//***@", address)

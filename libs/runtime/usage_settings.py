"""Settings of the intake of usage, which rating and `tarifa price` read alike."""

from pydantic import Field

from libs.runtime.settings import RuntimeSettings


class UsageSettings(RuntimeSettings):
    """Environment variables that say which usage is plausible and how a source writes its numbers."""

    usage_numbers_country: str | None = Field(
        None, description="Country by whose rules numbers without a plus are read, as in ES; none: they wait in suspense"
    )
    usage_limits: dict[str, str] = Field({}, description='Greatest quantity by usage type, as in {"voice": "24 h"}')
    usage_limits_by_unit: list[str] = Field([], description='Greatest quantity of all other types by unit, as in ["48 h", "1 TB"]')

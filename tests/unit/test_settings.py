"""Settings come from the environment by the names that the READMEs tell, and from nothing else there."""

import importlib
from typing import get_type_hints

import pytest

from libs.devstack.settings import SERVICES
from libs.runtime import RuntimeSettings


def settings_classes() -> list[type[RuntimeSettings]]:
    return [get_type_hints(importlib.import_module(f"services.{service}.service").build)["settings"] for service in SERVICES]


@pytest.mark.parametrize("settings_class", settings_classes())
def test_the_plain_name_of_a_field_with_a_documented_variable_is_not_read(
    settings_class: type[RuntimeSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = settings_class()
    aliased = {name for name, field in settings_class.model_fields.items() if field.validation_alias not in (None, name.upper())}
    assert {"namespace", "http_port"} <= aliased
    for name in aliased:
        monkeypatch.setenv(name.upper(), "4711")
    assert settings_class() == expected


def test_the_environment_is_read_by_documented_names_and_code_may_use_those_of_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARIFA_NAMESPACE", "blue")
    monkeypatch.setenv("MONGODB_URL", "mongodb://elsewhere")
    assert (RuntimeSettings().namespace, RuntimeSettings().mongodb_url) == ("blue", "mongodb://elsewhere")
    assert RuntimeSettings(namespace="green").namespace == "green"

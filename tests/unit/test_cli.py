"""The command's list of commands: told without importing any of them, and true."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from libs.cli import app
from libs.cli.on_demand import COMMANDS, load


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_with_the_first_line_of_its_own_help(name: str) -> None:
    assert load(name).help.splitlines()[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_tells_its_own_options(name: str) -> None:
    told = CliRunner().invoke(app, [name, "-h"], env={"COLUMNS": "200"})
    assert told.exit_code == 0
    assert f"Usage: tarifa {name} " in told.stdout
    assert COMMANDS[name][1] in told.stdout


def test_help_waits_for_no_library_but_its_own() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from libs.cli import app\n"
        "CliRunner().invoke(app, ['--help'], catch_exceptions=False)\n"
        "print(*{module.partition('.')[0] for module in sys.modules} & {'aiokafka', 'fastapi', 'faststream', 'pymongo', 'pydantic'})"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() == []


def test_what_commands_have_in_common_starts_without_what_only_services_need() -> None:
    script = "import sys, libs.cli.stack, libs.cli.hub; print(*{'fastapi', 'faststream', 'uvicorn'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split() == []


def test_an_unknown_command_is_told_with_the_one_that_was_meant() -> None:
    refused = CliRunner().invoke(app, ["statu"])
    assert refused.exit_code == 2
    assert "Did you mean 'status'?" in refused.stderr

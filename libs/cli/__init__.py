"""The `tarifa` command: each group of commands lives in its own module and is added in `on_demand` with one line.

A module is imported only when a command of it is called: together they bring in every library that Tarifa has.
Progress goes to standard error, results to standard output. Exit codes: 0 done; 1 it failed, or a check found
something; 2 the command line is wrong; 3 Kafka, MongoDB or a program that is needed is not there.
"""

import sys
from typing import NoReturn

import typer

from libs.cli.errors import CommandError
from libs.cli.on_demand import CommandsOnDemand

app = typer.Typer(
    name="tarifa",
    cls=CommandsOnDemand,
    help="Telecom billing: run the stack, feed it usage, bill it, check it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def tarifa() -> None:
    """Telecom billing: run the stack, feed it usage, bill it, check it."""


def main() -> None:
    """Run the command; an expected failure is one line that says what is wrong and what to do."""
    try:
        app()
    except CommandError as error:
        _fail(error.problem, error.remedy, error.exit_code)
    except Exception as error:
        _fail_if_told(error)
        raise


def _fail_if_told(error: Exception) -> None:
    """Fail with what an error of the stack, of Kafka or of MongoDB tells; return from any other."""
    # Imported here, for that takes longer than most commands.
    from aiokafka.errors import KafkaConnectionError
    from pymongo.errors import ServerSelectionTimeoutError

    from libs.devstack import StackError

    match error:
        case StackError():
            _fail(error.problem, error.remedy, 3)
        case KafkaConnectionError():
            _fail(f"Kafka does not answer: {error}", "start it with `tarifa up`, or set KAFKA_BOOTSTRAP_SERVERS", 3)
        case ServerSelectionTimeoutError():
            _fail("MongoDB does not answer", "start it with `tarifa up`, or set MONGODB_URL", 3)


def _fail(problem: str, remedy: str, exit_code: int) -> NoReturn:
    print(f"tarifa: {problem}" + (f" — {remedy}" if remedy else ""), file=sys.stderr)
    sys.exit(exit_code)

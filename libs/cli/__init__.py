"""The `tarifa` command: each group of commands lives in its own module and is added here with one line.

Progress goes to standard error, results to standard output. Exit codes: 0 done; 1 it failed, or a check found
something; 2 the command line is wrong; 3 Kafka, MongoDB or a program that is needed is not there.
"""

import sys
from typing import NoReturn

import typer
from aiokafka.errors import KafkaConnectionError
from pymongo.errors import ServerSelectionTimeoutError

from libs.cli import asyncapi, audit, bench, bill_run, demo, hub, parked, stack, suspense
from libs.cli.errors import CommandError
from libs.devstack.errors import StackError

app = typer.Typer(
    name="tarifa",
    help="Telecom billing: run the stack, feed it usage, bill it, check it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def tarifa() -> None:
    """Telecom billing: run the stack, feed it usage, bill it, check it."""


app.add_typer(stack.app)
app.add_typer(parked.app, name="parked")
app.add_typer(suspense.app, name="suspense")
app.add_typer(bench.app, name="bench")
app.add_typer(demo.app)
app.add_typer(audit.app)
app.add_typer(asyncapi.app)
app.add_typer(hub.app, name="hub", help="What the subscribers of the TM Forum hub were sent.")
app.add_typer(bill_run.app, name="bill-run")


def main() -> None:
    """Run the command; an expected failure is one line that says what is wrong and what to do."""
    try:
        app()
    except CommandError as error:
        _fail(error.problem, error.remedy, error.exit_code)
    except StackError as error:
        _fail(error.problem, error.remedy, 3)
    except KafkaConnectionError as error:
        _fail(f"Kafka does not answer: {error}", "start it with `tarifa up`, or set KAFKA_BOOTSTRAP_SERVERS", 3)
    except ServerSelectionTimeoutError:
        _fail("MongoDB does not answer", "start it with `tarifa up`, or set MONGODB_URL", 3)


def _fail(problem: str, remedy: str, exit_code: int) -> NoReturn:
    print(f"tarifa: {problem}" + (f" — {remedy}" if remedy else ""), file=sys.stderr)
    sys.exit(exit_code)

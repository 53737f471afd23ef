"""The commands of `tarifa` by name, each imported when it is called: listing them needs nothing but this table."""

from importlib import import_module
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

# The module in libs.cli that has it, and the first line of its help.
COMMANDS = {
    "up": ("stack", "Start Kafka, MongoDB and the services that do not run yet, and wait until they are ready."),
    "down": ("stack", "Stop what `tarifa up` started, and nothing else; data is kept."),
    "status": ("stack", "Tell what runs where, what each lacks, and what a person should look at. Exit 1 unless all of it is ready."),
    "logs": ("stack", "Show the logs of the stack."),
    "parked": ("parked", "Look at messages that could not be processed; retry, mend or discard them."),
    "lag": ("lag", "Show by group, topic and partition: lag, age of the oldest unread message, last progress, last error."),
    "skip": ("skip", "Park one message unhandled: the last resort for a handler that hangs on it."),
    "suspense": ("suspense", "Look at usages that could not be rated; rate them once mended, or give them up."),
    "bench": ("bench", "Measure how fast it is on this machine."),
    "demo": ("demo", "Bill a month of real telephone traffic, and compare every bill line with the charge that was published."),
    "audit": ("audit", "Compute charges, bills, balances and numbers again and report every difference. Exit 1 when there is any."),
    "gaps": ("gaps", "Look at messages that Kafka deleted before they were read, and close each gap with its reason."),
    "backup": ("backup", "Back up all databases at one instant, with the offsets of all groups. Services go on meanwhile."),
    "restore": ("restore", "Restore a backup, then adopt from Kafka what the services had published since."),
    "asyncapi": ("asyncapi", "Write the AsyncAPI document of all facts: topics, keys, schemas, who sends and who receives."),
    "documents": ("documents", "See which bills have empty boxes for want of a font; render them again."),
    "hub": ("hub", "What the subscribers of the TM Forum hub were sent, and the keys that they verify it with."),
    "price": ("price", "Price usages in an offering, as rating and billing would, and say why. Exit 1 when one has no price."),
    "tariff": ("tariff", "Check, try, show and compare rate books, and bring in those of other systems."),
    "rerate": ("rerate", "Price an account's usage anew; what differs is corrected on its open charges, or on the next bill."),
    "bill-run": ("bill_run", "Bill every account of a cycle for a month; list and show runs."),
}


def load(name: str) -> Any:
    """A command with its options: one of its module, or the group of all that its module has."""
    group = get_group(import_module(f"libs.cli.{COMMANDS[name][0]}").app)
    return group.commands.get(name, group)


class _Listed(TyperCommand):
    """Stands for a command until it is called."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        assert self.name is not None
        return load(self.name).make_context(info_name, args, parent, **extra)


class CommandsOnDemand(TyperGroup):
    """All commands; the called one is imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, help) in COMMANDS.items():
            self.add_command(_Listed(name, callback=None, help=help))

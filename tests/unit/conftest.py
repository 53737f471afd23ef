"""What several unit tests read and none changes, and what keeps them fast."""

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from libs.demo.churn import ChurnCustomer, read_customers
from tests.examples import EXAMPLES_IN_CI, examples_here

if not os.environ.get("CI"):
    settings.register_profile("at hand", max_examples=examples_here(EXAMPLES_IN_CI), deadline=None)
    settings.load_profile("at hand")

# Consoles of commands are made when a command is first imported, by whichever test: with the width and colours of the environment,
# where pytest's own workers leave 80 columns, and for good.
for _terminal in ("COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE"):
    os.environ.pop(_terminal, None)

# What was imported stays, and tests leave little that only the collector finds: at its usual pace it took a fifth of their time.
gc.set_threshold(50_000, 20, 100)


def pytest_sessionfinish() -> None:
    """Collect once what tests left, so that whatever it warns of is told; pytest's own five times then find nothing to go through."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def customers() -> tuple[ChurnCustomer, ...]:
    """All customers of the demo's data set."""
    return tuple(read_customers(Path("deploy/demo/telecom-churn-bigml-80.csv")))

"""What several unit tests read and none changes."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from libs.demo.churn import ChurnCustomer, read_customers

# At hand properties take half the examples that CI gives them, so that the fast tests stay fast.
EXAMPLES_AT_HAND = 50
settings.register_profile("at hand", max_examples=EXAMPLES_AT_HAND, deadline=None)
if not os.environ.get("CI"):
    settings.load_profile("at hand")


@pytest.fixture(scope="session")
def customers() -> tuple[ChurnCustomer, ...]:
    """All customers of the demo's data set."""
    return tuple(read_customers(Path("deploy/demo/telecom-churn-bigml-80.csv")))

"""What several unit tests read and none changes."""

from pathlib import Path

import pytest

from libs.demo.churn import ChurnCustomer, read_customers


@pytest.fixture(scope="session")
def customers() -> tuple[ChurnCustomer, ...]:
    """All customers of the demo's data set."""
    return tuple(read_customers(Path("deploy/demo/telecom-churn-bigml-80.csv")))

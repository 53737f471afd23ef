"""TM Forum's own data files for the APIs that the gateway serves, as they were published."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def swagger(api: str) -> dict[str, Any]:
    """The Swagger 2.0 document of an API such as TMF678."""
    return json.loads((files(__package__) / f"{api}-v4.json").read_text())

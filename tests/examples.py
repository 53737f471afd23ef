"""How many examples properties try: where `CI` is set as many as they name, at hand half, so that the fast tests stay fast."""

import os

from hypothesis import settings

EXAMPLES_IN_CI = 100
# Half of few examples would hardly be a property any more.
EXAMPLES_AT_HAND_MIN = 50


def examples(in_ci: int) -> settings:
    """For properties that need more examples than others, or are content with fewer."""
    return settings(max_examples=examples_here(in_ci), deadline=None)


def examples_here(in_ci: int) -> int:
    """How many of these are tried on this machine."""
    return in_ci if os.environ.get("CI") else max(in_ci // 2, min(in_ci, EXAMPLES_AT_HAND_MIN))

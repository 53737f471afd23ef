"""The worked cases of tests/data/pricing_cases.yaml, translated: one function a case, which does what `do` says and returns what came out.

A function takes the case as it stands in the file and returns the result in the shape of `expect`: numbers, or lists and mappings
of them. Expected values stand in the file and nowhere else. Where `expect` is in words, the function asserts what they say and
returns IN_WORDS.
"""

from collections.abc import Callable, Mapping
from typing import Any

Case = Mapping[str, Any]
Translation = Callable[[Case], Any]

IN_WORDS = object()

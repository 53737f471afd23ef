"""The text of a rate book from its terms, laid out as people write them: one line for a match or a price, numbers without quotes."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

WIDTH = 140
# Written on one line.
INLINE = frozenset({"match", "price", "rounding", "package", "percentage"})
BAND_KEYS = {"days", "hours", "holidays", "except_holidays"}
# What a rate book reads as a text anyway, YAML would take for something else; of these nobody is misled.
UNQUOTED = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"}


class _Layout(yaml.SafeDumper):
    """Texts as they are, in quotes only where YAML would read something else than a word or a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


class _Inline(dict[str, Any]):
    """A mapping on one line."""


class _InlineList(list[Any]):
    """A list on one line."""


def book_text(terms: Mapping[str, Any], comment: Iterable[str] = ()) -> str:
    """A rate book with these terms, all of whose values are texts, below some lines of comment."""
    head = "".join(f"# {line}\n" for line in comment)
    return head + yaml.dump(_laid_out(terms), Dumper=_Layout, sort_keys=False, allow_unicode=True, width=WIDTH, indent=2)


def _laid_out(terms: Any, key: str = "") -> Any:
    if isinstance(terms, Mapping):
        laid_out = {name: _laid_out(value, name) for name, value in terms.items()}
        return _Inline(laid_out) if key in INLINE or terms.keys() <= BAND_KEYS else laid_out
    if isinstance(terms, list):
        items = [_laid_out(item) for item in terms]
        return items if any(isinstance(item, Mapping) for item in items) else _InlineList(items)
    return terms


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag if tag in UNQUOTED else "tag:yaml.org,2002:str", text)


_Layout.add_representer(str, _text)
_Layout.add_representer(_Inline, lambda dumper, terms: dumper.represent_mapping("tag:yaml.org,2002:map", terms, flow_style=True))
_Layout.add_representer(_InlineList, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True))

"""Mend the body of a parked message: show it, change it, compare, and check that it can be read."""

import base64
import difflib
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from libs.cli.errors import CommandError
from libs.contracts import MalformedFact, MessageParked, all_facts
from libs.runtime import RuntimeSettings


class _Number(str):
    """A number of a JSON text, kept as it is written."""


def readable(message: MessageParked) -> str:
    """Return the body that would be handled now, indented where it is JSON."""
    text = base64.b64decode(message.handled_body).decode(errors="backslashreplace")
    try:
        return _written(_parsed(text)) + "\n"
    except (ValueError, RecursionError):
        return text


def with_values(text: str, values: Iterable[str]) -> str:
    """Return a JSON text with values set, each given as `path=value`. Raises CommandError."""
    try:
        document = _parsed(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"the body is not JSON: {error}", "mend it in an editor or with --file") from None
    for pair in values:
        path, equals, value = pair.partition("=")
        if not equals or not path:
            raise CommandError(f"{pair!r} is not PATH=VALUE", "write e.g. --set account.id=acc-7")
        _set(document, path, _value(value))
    return _written(document) + "\n"


def edit_in_editor(text: str) -> str:
    """Open a text in $VISUAL or $EDITOR and return it as it was saved. Raises CommandError."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise CommandError("no editor is known", "set EDITOR, or mend with --set or --file")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "parked.json"
        file.write_text(text, encoding="utf-8")
        try:
            ended = subprocess.run([*shlex.split(editor), str(file)], check=False)
        except OSError as error:
            raise CommandError(f"{editor} does not start: {error.strerror}", "set EDITOR, or mend with --set or --file") from None
        if ended.returncode:
            raise CommandError(f"{editor} ended with {ended.returncode}: nothing is mended")
        return file.read_text(encoding="utf-8")


def difference(before: str, after: str) -> str:
    """Return the lines that differ; empty where none does."""
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), "as parked", "mended", lineterm=""))


def fault_of_body(settings: RuntimeSettings, message: MessageParked, text: str) -> str | None:
    """Return why a text is not the fact of the message's topic; None when it is."""
    fact = next((fact for fact in all_facts() if settings.topic(fact.topic) == message.topic_name), None)
    if fact is None:
        return None
    try:
        fact.from_message(text.encode())
    except MalformedFact as error:
        return str(error)
    return None


def _parsed(text: str) -> Any:
    # Numbers stay texts, so that nothing is rounded or written otherwise than it came.
    return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_Number)


def _written(document: Any) -> str:
    return _text(document, "")


def _text(value: Any, indent: str) -> str:
    if isinstance(value, _Number):
        return str(value)
    inner = indent + "  "
    if isinstance(value, dict) and value:
        pairs = [f"{inner}{json.dumps(name, ensure_ascii=False)}: {_text(part, inner)}" for name, part in value.items()]
        return "{\n" + ",\n".join(pairs) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"{inner}{_text(part, inner)}" for part in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _value(text: str) -> Any:
    try:
        return _parsed(text)
    except ValueError:
        return text


def _set(document: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place = document
    for part in parents:
        place = _child(place, part, path)
    if isinstance(place, list):
        _child(place, last, path)
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise CommandError(f"there is no {path} in the body", "see it with `tarifa parked show`")


def _child(place: Any, part: str, path: str) -> Any:
    try:
        return place[int(part)] if isinstance(place, list) else place[part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise CommandError(f"there is no {path} in the body", "see it with `tarifa parked show`") from None

"""The directions of imports, as import-linter holds them (contracts in pyproject.toml)."""

import subprocess
import sys

from tests.architecture.source import ROOT, SERVICES


def test_imports_keep_their_directions():
    linted = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert linted.returncode == 0, (
        f"{linted.stdout}{linted.stderr}\n"
        "An import goes against a direction. Move what is shared down a layer (a fact to libs/contracts, a rule of the trade to "
        "libs/pricing or libs/billing), pass it in as an argument, or tell the other service a fact; the contracts are in pyproject.toml."
    )


def test_no_service_talks_to_another_over_http():
    named = [
        f"{path.relative_to(ROOT)}: {variable}"
        for service in SERVICES
        for path in (ROOT / "services" / service).rglob("*.py")
        for variable in ("8096", "8097", "8098", "8101", "8102", "8103", "8104", "running_service_url")
        if variable in path.read_text(encoding="utf-8") and path.name != "service.py"
    ]

    assert not named, "\n".join(
        [*named, "", "Services tell each other facts over Kafka, never over HTTP: publish one and subscribe to its answer."]
    )

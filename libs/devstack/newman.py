"""newman, which runs the TM Forum's Postman collections: from npm, at the versions of `deploy/newman`, once per machine.

`python -m libs.devstack.newman` fetches it and prints the command.
"""

import asyncio
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from libs.devstack.cache import cached_folder, fill_once
from libs.devstack.errors import StackError
from libs.devstack.settings import PROJECT_ROOT

NODE_MAJOR_MIN = 18
NEWMAN_BYTES = 40_000_000
NEWMAN_FILES = PROJECT_ROOT / "deploy" / "newman"
LOCKED = (NEWMAN_FILES / "package.json", NEWMAN_FILES / "package-lock.json")


async def newman_command() -> list[str]:
    """The words that run newman. Raises StackError, naming what to install."""
    folder = await fill_once(cached_folder("newman", *LOCKED), _fetch, needs_bytes=NEWMAN_BYTES)
    return [_find_node(), str(folder / "node_modules" / "newman" / "bin" / "newman.js")]


async def _fetch(scratch: Path) -> Path:
    folder = scratch / "newman"
    folder.mkdir()
    for file in LOCKED:
        shutil.copy(file, folder)
    # npm stands beside node, and finds node through the PATH.
    bin_folder = Path(_find_node()).parent
    npm = shutil.which("npm", path=str(bin_folder)) or shutil.which("npm")
    if npm is None:
        raise StackError("npm is not there", "uv sync --group node, which brings Node.js and npm")
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    fetching = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    told, _ = await fetching.communicate()
    if fetching.returncode != 0:
        lines = told.decode(errors="replace").strip().splitlines() or ["no output"]
        raise StackError(f"npm could not fetch newman: {lines[-1]}", f"try it by hand: cd {NEWMAN_FILES} && {' '.join(command)}")
    return folder


def _find_node() -> str:
    """The node on the PATH when it is recent enough, else the one that the wheel brought into our environment."""
    for node in (shutil.which("node"), shutil.which("node", path=str(Path(sys.executable).parent))):
        if node is not None and _major(node) >= NODE_MAJOR_MIN:
            return node
    raise StackError(f"there is no Node.js {NODE_MAJOR_MIN} or newer", "uv sync --group node")


def _major(node: str) -> int:
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major, _, _ = told.strip().removeprefix("v").partition(".")
    return int(major) if major.isdigit() else 0


if __name__ == "__main__":
    try:
        sys.stdout.write(shlex.join(asyncio.run(newman_command())) + "\n")
    except StackError as error:
        sys.exit(str(error))

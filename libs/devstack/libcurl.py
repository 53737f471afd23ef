"""The libcurl that MongoDB's server loads: where a machine has none, the one inside the PyPI wheel pycurl is borrowed.

It needs no root and changes nothing outside the stack's own folder.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

LIBRARY = "libcurl.so.4"
WHEEL = "pycurl"
INSTALL_LIBRARY = "uv sync --group libcurl, or apt-get install -y libcurl4"


def borrowed_libcurl(folder: Path) -> dict[str, str]:
    """Put a link to the wheel's libcurl into `folder`; return the environment in which a program loads it.

    Empty when the wheel is not installed. The wheel's file has a name of its own, the link has the name that is asked for.
    """
    bundled = _libraries_in_wheel()
    if bundled is None:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / LIBRARY
    link.unlink(missing_ok=True)
    link.symlink_to(bundled)
    return {"LD_LIBRARY_PATH": f"{folder}:{bundled.parent}"}


def _libraries_in_wheel() -> Path | None:
    try:
        libraries = Path(str(distribution(WHEEL).locate_file("pycurl.libs")))
    except PackageNotFoundError:
        return None
    return next(iter(libraries.glob("libcurl-*.so.4*")), None)

"""The fonts that documents are set in: Source Sans Pro, then Noto's for other scripts, then the machine's own.

Noto's come as packages (SIL Open Font License 1.1), so that every machine sets the same document alike: Latin, Greek and
Cyrillic with all accents, Chinese, Japanese, Korean, Hebrew, Arabic, Devanagari, Tamil, Telugu, Thai and Khmer.
"""

from functools import cache
from importlib.metadata import files
from pathlib import Path

import typst

OWN_FONTS = Path(__file__).parent / "templates" / "fonts"
FONT_PACKAGES = (
    "fontpkg-noto-sans",
    "noto-cjk-sans-jp-regular",
    "fontpkg-heebo",
    "fontpkg-noto-sans-arabic",
    "fontpkg-noto-sans-devanagari",
    "fontpkg-noto-sans-tamil",
    "fontpkg-noto-sans-telugu",
    "fontpkg-noto-sans-thai",
    "fontpkg-noto-sans-khmer",
)


@cache
def all_fonts() -> typst.Fonts:
    """Return every font at hand. The system's come last, for scripts that no package has."""
    return typst.Fonts(include_system_fonts=True, include_embedded_fonts=True, font_paths=[OWN_FONTS, *package_fonts()])


def package_fonts() -> list[Path]:
    """Return the folders of the packaged fonts. Raises PackageNotFoundError when one is not installed."""
    fonts = (Path(str(file.locate())) for package in FONT_PACKAGES for file in files(package) or () if file.suffix in (".ttf", ".otf"))
    return list(dict.fromkeys(font.parent for font in fonts))

"""Copies of the plug-ins that a run was trained with, for the reader; they are never imported.

The name of a copy has the SHA-256 of its content: `my_scores.py-9c1b….txt`. A copy that is edited
or lost therefore changes nothing but a warning.
"""

import functools
import logging
from pathlib import Path

from nmt.system.files import write_flushed
from nmt.system.plugins import sources

logger = logging.getLogger(__name__)


def write_copies(folder: Path) -> None:
    """Write a copy of each plug-in that is imported; without any, there is no folder."""
    for source in sources():
        folder.mkdir(exist_ok=True)
        write_flushed(folder / f"{source.name}-{source.sha256}.txt", source.content)


def warn_about_changes(folder: Path) -> None:
    """Warn about each imported plug-in that differs from its copy; it is used as it is."""
    copies = [copy.stem.rpartition("-") for copy in sorted(folder.glob("*.txt"))]
    for source in sources():
        theirs = [sha256 for name, _, sha256 in copies if name == source.name]
        if theirs and source.sha256 not in theirs:
            _warn_once(
                f"{source.name}: SHA-256 {source.sha256} differs from that in {folder} "
                f"({', '.join(theirs)}); it is used as it is now"
            )


@functools.cache
def _warn_once(message: str) -> None:
    """Log a warning, unless this process has logged it already."""
    logger.warning("%s", message)

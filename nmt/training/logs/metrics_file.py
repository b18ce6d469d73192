"""`metrics.jsonl`, with one JSON object per line, and the learning curves read from it."""

import json
import logging
import math
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from nmt.core.errors import RunError
from nmt.system.files import open_regular, parse_json

logger = logging.getLogger(__name__)

Panels = dict[str, dict[str, list[tuple[float, float]]]]

_MAX_LINE_BYTES: Final = 2**16
# (panel, curve). Dropout makes the training loss higher.
_TRAINING_LOSS: Final = ("loss", "training (with dropout, if any)")
_RATE: Final = ("learning rate", "learning rate")


class MetricsFile:
    """The metrics file of a run; on resume, lines written after the checkpoint are cut off.

    Args:
        path: the file; created if missing.
        end: bytes to keep: the value of the property `end` at the checkpoint.
    """

    def __init__(self, path: Path, end: int = 0) -> None:
        self._path = path
        path.touch()
        if not path.is_file():
            raise RunError(f"{path}: is not a regular file; move it away, then resume")
        size = path.stat().st_size
        if size < end:
            logger.warning(
                f"{path}: {end - size:,} of {end:,} bytes are missing, so earlier metrics are lost"
            )
        if size > end:
            with path.open("rb+") as file:
                file.truncate(end)

    def append(self, kind: str, values: Mapping[str, Any]) -> None:
        """Write one line; non-finite values become null, because JSON has none."""
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **finite}) + "\n")

    @property
    def end(self) -> int:
        """Return the present size in bytes, for the checkpoint."""
        return self._path.stat().st_size


def has_validations(path: Path) -> bool:
    """Return whether a file exists and has the line of a validation."""
    if not path.is_file():
        return False
    return any(line.startswith(b'{"kind": "validation"') for line in _lines(path))


def read_curves(path: Path) -> Panels:
    """Read the learning curves of a run: panel -> curve -> points `(update, value)`.

    A constant learning rate is left out.

    Raises:
        RunError: the file cannot be read, or a line is invalid.
    """
    panels: Panels = {"loss": {}, "learning rate": {}}
    for number, line in enumerate(_lines(path), start=1):
        try:
            row = parse_json(line)
            for (panel, curve), value in _points(row).items():
                if value is not None:
                    point = (float(row["update"]), float(value))
                    panels.setdefault(panel, {}).setdefault(curve, []).append(point)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise RunError(
                f"{path}, line {number}: not a line of metrics; restore the file from a copy"
            ) from None
    rates = panels["learning rate"]
    if len({rate for points in rates.values() for _, rate in points}) == 1:
        rates.clear()
    return panels


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of the file; lines too long for a row of metrics are yielded in parts."""
    try:
        with open_regular(path) as file:
            yield from iter(partial(file.readline, _MAX_LINE_BYTES), b"")
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None


def _points(row: dict[str, Any]) -> dict[tuple[str, str], float | None]:
    """Return the values of a line by panel and curve."""
    if row["kind"] == "train":
        return {_TRAINING_LOSS: row["loss"], _RATE: row["learning_rate"]}
    scores = {(name, name): value for name, value in row["scores"].items()}
    return {("loss", "validation"): row["loss"], **scores}

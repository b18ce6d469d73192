"""Parallel text as JSON lines: one object per line, with the texts of both sides."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.core.errors import DataError
from nmt.data.formats.corpus import Corpus
from nmt.data.formats.lines import read_bounded_lines
from nmt.system.files import parse_json


@dataclass(frozen=True, kw_only=True)
class JsonLinesCorpus(Corpus[str]):
    """One file of JSON lines; line feeds within a text are read as spaces.

    Args:
        jsonl: File with one JSON object per line.
        source_key: Key of the source text; with dots for nested keys, as in translation.en.
        target_key: Key of the target text.
    """

    jsonl: Path
    source_key: str = "source"
    target_key: str = "target"

    def read(self) -> Iterator[tuple[str, str]]:
        """Read the pairs in order; each line must be an object with both texts."""
        lines = read_bounded_lines(self.jsonl, max_line_bytes=self.max_line_bytes)
        for number, line in enumerate(lines, start=1):
            if line is None:
                yield "", ""
                continue
            place = f"{self.jsonl}, line {number}"
            found = _parse(line, place)
            yield _text(found, self.source_key, place), _text(found, self.target_key, place)


def _parse(line: str, place: str) -> dict[str, Any]:
    try:
        found = parse_json(line)
    except ValueError as error:
        reason = getattr(error, "msg", error)  # without the position, which names a line, too
        raise DataError(f"{place}: not JSON ({reason}); write one object per line") from None
    if not isinstance(found, dict):
        raise DataError(f"{place}: not a JSON object; write one object per line")
    return found


def _text(found: dict[str, Any], key: str, place: str) -> str:
    """Return the text at a key of an object, without line feeds."""
    value: Any = found
    for part in [key] if key in found else key.split("."):
        if not isinstance(value, dict) or part not in value:
            what_to_do = "correct the line, or set source_key and target_key"
            raise DataError(f"{place}: {key}: no key {part!r}; {what_to_do}")
        value = value[part]
    if not isinstance(value, str):
        raise DataError(f"{place}: {key}: must be a string; correct the line")
    if bad := re.search("[\0\ud800-\udfff]", value):
        raise DataError(f"{place}: {key}: character {bad[0]!r} is not allowed; correct the line")
    return re.sub(r"\r?\n", " ", value)

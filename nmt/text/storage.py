"""A saved tokenizer: a folder with `tokenizer.json` and a model file, checked by checksums."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from nmt.core.errors import RunError
from nmt.core.os_errors import advice
from nmt.system.atomic_files import atomic_folder, write_flushed
from nmt.system.untrusted_files import MAX_JSON_BYTES, parse_json, read_regular
from nmt.text.normalization import Normalizer

FORMAT_VERSION: Final = 1
DESCRIPTION: Final = "tokenizer.json"
MAX_MODEL_BYTES: Final = 2**25
"""Limit of a model file; half a million subwords take less."""
_MEND: Final = "copy the folder again from where the tokenizer was trained, or train anew"


@dataclass(frozen=True)
class SavedTokenizer:
    """All that a tokenizer is made of.

    Attributes:
        name: its name in the table of tokenizers.
        normalizer: what is done to text first.
        options: what matters besides the model.
        model: the content of the model file.
    """

    name: str
    normalizer: Normalizer
    options: Mapping[str, str | int | float]
    model: bytes

    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        return _hash(json.dumps(self.describe(), sort_keys=True).encode())

    def describe(self) -> dict[str, Any]:
        """All of it for JSON; of the model, the checksum."""
        return {
            "format": FORMAT_VERSION,
            "name": self.name,
            "normalizer": asdict(self.normalizer),
            "options": dict(self.options),
            "model_sha256": _hash(self.model),
        }


def write_tokenizer(folder: Path, model_file: str, saved: SavedTokenizer) -> None:
    """Write a folder with both files, in place of what is there; whole, or not at all.

    Raises:
        RunError: it cannot be written, or is larger than what `read_tokenizer` takes; what was
            there is untouched.
    """
    if len(saved.model) > MAX_MODEL_BYTES:
        raise RunError(
            f"{folder}: the vocabulary takes {len(saved.model):,} bytes, and {MAX_MODEL_BYTES:,} "
            "are the limit; lower tokenizer.vocabulary_size, or put spaces between the words"
        )
    description = saved.describe() | {
        "model_file": model_file,
        "fingerprint": saved.fingerprint(),
    }
    try:
        with atomic_folder(folder) as fresh:
            write_flushed(fresh / model_file, saved.model)
            content = json.dumps(description, indent=2) + "\n"
            write_flushed(fresh / DESCRIPTION, content.encode())
    except OSError as error:
        raise RunError(
            f"{folder}: cannot write the tokenizer ({error.strerror or error}); "
            f"{advice(error) or 'change the permissions'}"
        ) from error


def read_tokenizer(folder: Path) -> SavedTokenizer:
    """What `write_tokenizer` has written.

    Raises:
        RunError: a file is missing, cannot be read, is damaged or of another format.
    """
    path = folder / DESCRIPTION
    try:
        description = parse_json(_read(path, MAX_JSON_BYTES))
        if type(description["format"]) is int and description["format"] != FORMAT_VERSION:
            raise RunError(
                f"{path}: format {description['format']} of the tokenizer, but this program reads "
                f"format {FORMAT_VERSION}: use the version of nmt that wrote it, or train anew"
            )
        model_path = folder / _plain_name(description["model_file"])
        saved = restore_saved(description, _read(model_path, MAX_MODEL_BYTES))
        expected = description["model_sha256"], description["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: damaged (it does not describe a tokenizer); {_MEND}") from error
    if _hash(saved.model) != expected[0]:
        raise RunError(f"{model_path}: damaged (its checksum is not that of {path}); {_MEND}")
    if saved.fingerprint() != expected[1]:
        raise RunError(f"{path}: damaged or edited (its checksum is wrong); {_MEND}")
    return saved


def restore_saved(description: Mapping[str, Any], model: bytes) -> SavedTokenizer:
    """Put together what `SavedTokenizer.describe` and its model say.

    Raises:
        ValueError, KeyError, TypeError: they are something else.
    """
    name, options = description["name"], description["options"]
    if not isinstance(name, str) or not isinstance(options, dict):
        raise TypeError("the name or the options of the tokenizer are of another type")
    return SavedTokenizer(name, Normalizer(**description["normalizer"]), options, model)


def _plain_name(name: object) -> str:
    """Return the name, which must be of a file in the folder itself."""
    if not isinstance(name, str) or name in ("", ".", "..") or os.path.basename(name) != name:
        raise ValueError("the model file must be in the folder")
    return name


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        return read_regular(path, max_bytes)
    except FileNotFoundError:
        raise RunError(f"{path}: this file of the tokenizer is missing; {_MEND}") from None
    except OSError as error:
        raise RunError(
            f"{path}: this file of the tokenizer cannot be read ({error.strerror or error}); "
            "make it readable, or " + _MEND
        ) from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

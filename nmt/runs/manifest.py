"""The manifest of a checkpoint: size and SHA-256 of each file, and a SHA-256 of its own."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from nmt.core.errors import RunError
from nmt.system.files import (
    MAX_JSON_BYTES,
    file_sha256,
    flush,
    parse_json,
    read_regular,
    write_text,
)

FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
METADATA: Final = "metadata.json"


class _File(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)

    size: NonNegativeInt
    sha256: str


class Manifest(BaseModel):
    """Files of a checkpoint.

    Attributes:
        files: METADATA and the tensor file of each part, by name.
        aliases: for each part, tensors stored under another name: alias -> stored name.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    files: dict[str, _File]
    aliases: dict[Annotated[str, Field(pattern=r"^\w+$")], dict[str, str]]


def write_manifest(folder: Path, aliases: Mapping[str, Mapping[str, str]]) -> None:
    """Write the manifest of the files in a folder, which makes them a complete checkpoint.

    Args:
        folder: folder of the files, which are flushed to the disk first.
        aliases: for each part, tensors stored under another name: alias -> stored name.
    """
    files = {}
    for path in folder.iterdir():
        flush(path)
        files[path.name] = {"size": path.stat().st_size, "sha256": file_sha256(path)}
    manifest = {"format": FORMAT_VERSION, "files": files, "aliases": aliases}
    # Without whitespace: every byte has a meaning, so no change goes unnoticed.
    content = _compact({**manifest, "sha256": _sha256(_compact(manifest))})
    write_text(folder / MANIFEST, content.decode())


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a checkpoint.

    Raises:
        RunError: it is missing or corrupted, or has another format version.
        OSError: it cannot be read.
    """
    path = folder / MANIFEST
    try:
        found = parse_json(read_regular(path, MAX_JSON_BYTES))
    except FileNotFoundError:
        if folder.exists():
            raise unusable(path, "missing, so this is not a checkpoint") from None
        raise RunError(f"{folder}: no such checkpoint; {_others(folder)}") from None
    except ValueError:
        raise unusable(path, "corrupted: not JSON") from None
    checksum = found.pop("sha256", None) if isinstance(found, dict) else None
    if checksum != _sha256(_compact(found)):
        raise unusable(path, "corrupted: SHA-256 mismatch")
    version = found.get("format")
    if type(version) is not int or version != FORMAT_VERSION:
        raise RunError(
            f"{path}: checkpoint format {version!r} is not supported, only {FORMAT_VERSION}; use "
            "the version of nmt that wrote it"
        )
    with suppress(ValidationError):
        manifest = Manifest.model_validate(found)
        if manifest.files.keys() == {METADATA, *map(tensor_file, manifest.aliases)}:
            return manifest
    raise unusable(path, "not the description of a checkpoint")


def read_verified(path: Path, manifest: Manifest, max_bytes: int | None = None) -> bytes:
    """Return the verified content of a file, which is read once.

    Args:
        path: path of the file.
        manifest: manifest of the checkpoint.
        max_bytes: refuse a larger file without reading it; None accepts any size.

    Raises:
        RunError: it is missing, corrupted or too large.
        OSError: it cannot be read.
    """
    expected = manifest.files[path.name]
    if max_bytes is not None and expected.size > max_bytes:
        raise unusable(path, f"has {expected.size:,} bytes, above the limit of {max_bytes:,}")
    try:
        size = path.stat().st_size
        content = read_regular(path, size) if size == expected.size else b""
    except FileNotFoundError:
        raise unusable(path, "missing from the checkpoint") from None
    if len(content) != expected.size:
        raise unusable(path, f"corrupted: {size} bytes instead of {expected.size}")
    if _sha256(content) != expected.sha256:
        raise unusable(path, f"corrupted: SHA-256 differs from {MANIFEST}")
    return content


def tensor_file(part: str) -> str:
    """Return the name of the file of a part."""
    return f"{part}.safetensors"


def unusable(path: Path, reason: str) -> RunError:
    """Return an error about a file of a checkpoint, with its remedy."""
    folder = path.parent
    if folder.name == "lexicon":  # `RunDirectory.lexicon`, in the format of a checkpoint
        remedy = f"make it again with `nmt lexicon {folder.parent}`"
    else:
        remedy = f"put back a copy of {folder.name}, or use another checkpoint of the run"
    return RunError(f"{path}: {reason}; {remedy}")


def _others(folder: Path) -> str:
    """List the checkpoints next to one that is missing."""
    # Shorter names first, so that numbers are in order.
    found = sorted(path.parent.name for path in folder.parent.glob(f"*/{MANIFEST}"))
    return f"available: {', '.join(sorted(found, key=len))}" if found else "the run has none yet"


def _compact(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, separators=(",", ":"), sort_keys=True).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

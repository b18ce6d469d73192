"""The manifest of a checkpoint: size and SHA-256 of each file, and a SHA-256 of its own."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nmt.core.errors import RunError
from nmt.system.files import (
    MAX_JSON_BYTES,
    atomic_write,
    open_regular,
    parse_json,
    read_regular,
    write_flushed,
)

FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
METADATA: Final = "metadata.json"
_PART: Final = re.compile(r"\w+", re.ASCII)


def has_manifest(folder: Path) -> bool:
    """Return whether a folder holds a complete checkpoint (its files may still be corrupted)."""
    try:
        return stat.S_ISREG(os.stat(folder / MANIFEST).st_mode)
    except PermissionError:
        raise RunError(f"{folder}: no permission to look into the checkpoint") from None
    except OSError:
        return False


def write_file(path: Path, content: bytes) -> dict[str, Any]:
    """Write a file to the disk; what the manifest says of it."""
    write_flushed(path, content)
    return {"size": len(content), "sha256": _sha256(content)}


def _compact(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, separators=(",", ":"), sort_keys=True).encode()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a checkpoint.

    Raises:
        RunError: it is missing, corrupted, or of another format.
    """
    path = folder / MANIFEST
    try:
        manifest = parse_json(read_regular(path, MAX_JSON_BYTES))
    except FileNotFoundError:
        if not folder.exists():
            raise RunError(f"{folder}: no such checkpoint; {_others(folder)}") from None
        raise RunError(
            f"{folder}: no checkpoint ({MANIFEST} is missing); {remedy(folder)}"
        ) from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path}: damaged, it is not JSON; {remedy(folder)}") from error
    found = manifest.get("format") if type(manifest) is dict else None
    checksum = manifest.pop("sha256", None) if type(manifest) is dict else None
    if checksum != _sha256(_compact(manifest)):
        raise RunError(f"{path}: damaged, its SHA-256 is another; {remedy(folder)}")
    if type(found) is not int or found != FORMAT_VERSION:
        raise RunError(
            f"{path}: a checkpoint of format {found!r}, but this nmt reads format "
            f"{FORMAT_VERSION}: use the version of nmt that wrote it"
        )
    if not _is_valid(manifest):
        raise RunError(f"{path}: does not describe a checkpoint; {remedy(folder)}")
    return dict(manifest)


def _is_valid(manifest: dict[str, Any]) -> bool:
    """Return whether everything that is used of a manifest has the right type."""
    files, aliases = manifest.get("files"), manifest.get("aliases")
    return (
        isinstance(files, dict)
        and isinstance(aliases, dict)
        and files.keys() == {METADATA, *map(tensor_file, aliases)}
        and all(
            isinstance(entry, dict)
            and type(entry.get("size")) is int
            and isinstance(entry.get("sha256"), str)
            for entry in files.values()
        )
        and all(_PART.fullmatch(part) for part in aliases)
        and all(
            isinstance(twins, dict) and all(isinstance(owner, str) for owner in twins.values())
            for twins in aliases.values()
        )
    )


def tensor_file(part: str) -> str:
    """Return the name of the file of a part."""
    return f"{part}.safetensors"


def read_verified(
    folder: Path, name: str, manifest: dict[str, Any], max_bytes: int | None = None
) -> bytes:
    """The content of a file; read once, so that what is checked is what is used."""
    path = folder / name
    expected = manifest["files"][name]
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != expected["size"]:
                raise RunError(
                    f"{path}: damaged, it has {size} bytes and should have {expected['size']}; "
                    f"{remedy(folder)}"
                )
            if max_bytes is not None and size > max_bytes:
                raise RunError(
                    f"{path}: has {size:,} bytes, and what belongs here has at most {max_bytes:,}; "
                    f"{remedy(folder)}"
                )
            content = file.read(size)
    except FileNotFoundError:
        raise RunError(f"{path}: missing from the checkpoint; {remedy(folder)}") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    if _sha256(content) != expected["sha256"]:
        raise RunError(
            f"{path}: damaged, its SHA-256 is not the one in {MANIFEST}; {remedy(folder)}"
        )
    return content


def remedy(folder: Path) -> str:
    """Say what to do about a corrupted checkpoint."""
    if folder.name == "lexicon":  # of a run (`RunDirectory.lexicon`), kept as checkpoints are
        return f"make it anew with `nmt lexicon {folder.parent}`"
    return f"put back a copy of {folder.name}, or use another checkpoint of the run"


def _others(folder: Path) -> str:
    """What there is beside a checkpoint that is missing."""
    beside = folder.parent.iterdir() if folder.parent.is_dir() else iter(())
    # The shorter first, so that numbers follow each other.
    names = sorted((path.name for path in beside if has_manifest(path)), key=lambda n: (len(n), n))
    return f"there is {', '.join(names)}" if names else "the run has none yet"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_manifest(
    folder: Path, files: Mapping[str, Any], aliases: Mapping[str, Mapping[str, str]]
) -> None:
    """Write the manifest, which makes the checkpoint complete.

    Args:
        folder: of the checkpoint.
        files: what `write_file` returns, by their names.
        aliases: of each part, names of tensors that are stored under another name.
    """
    manifest = {"format": FORMAT_VERSION, "files": files, "aliases": aliases}
    with atomic_write(folder / MANIFEST) as partial:
        # Without blanks: each byte of it says something, so that none can change unseen.
        write_flushed(partial, _compact({**manifest, "sha256": _sha256(_compact(manifest))}))

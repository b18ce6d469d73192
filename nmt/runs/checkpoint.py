"""Checkpoints: folders of safetensors and JSON that are written atomically.

A checkpoint is written next to the one that it replaces, flushed to the disk, and moved into place
by renaming (see `nmt.system.files`). It is complete once it holds a manifest. If the process is
killed, the previous or the new checkpoint can still be read in full, here or next to it.

`manifest.json` holds the size and the SHA-256 of each file, and the SHA-256 of its own content.
Loading a checkpoint cannot run code.
"""

import json
import shutil
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from nmt.core.errors import RunError, advice_on
from nmt.runs.manifest import (
    MANIFEST,
    METADATA,
    Manifest,
    read_manifest,
    read_verified,
    tensor_file,
    unusable,
    write_manifest,
)
from nmt.system.files import MAX_JSON_BYTES, atomic_folder, parse_json, sibling_folders


@dataclass(frozen=True)
class Checkpoint:
    """Contents of a checkpoint.

    Attributes:
        tensors: tensors by part and name; every checkpoint has the part "model".
        metadata: any data that JSON can hold.
    """

    tensors: dict[str, dict[str, Tensor]]
    metadata: dict[str, Any]


def save_checkpoint(
    folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], metadata: Mapping[str, Any]
) -> None:
    """Write a checkpoint, replacing the existing one.

    Args:
        folder: folder of the checkpoint; created with its parents.
        tensors: tensors by part and name, with one file for each part. Tensors of a part that share
            all their memory (tied weights) are written once.
        metadata: any data that JSON can hold.

    Raises:
        RunError: it cannot be written (no space, no permission); the existing one is untouched.
    """
    aliases: dict[str, dict[str, str]] = {}
    try:
        tidy_checkpoint(folder)
        with atomic_folder(folder) as fresh:
            (fresh / METADATA).write_bytes(json.dumps(metadata, indent=1).encode())
            for part, named in tensors.items():
                owners, aliases[part] = _split_aliases(named)
                save_file(owners, fresh / tensor_file(part))
            write_manifest(fresh, aliases)
    except (OSError, SafetensorError) as error:
        said = str((isinstance(error, OSError) and error.strerror) or error)
        raise RunError(
            f"{folder}: cannot write the checkpoint ({said}), and the previous one is intact; "
            f"{advice_on(said) or 'change the permissions'}, then resume"
        ) from error


def load_checkpoint(
    folder: Path, parts: Sequence[str] | None = None, *, max_bytes: int | None = None
) -> Checkpoint:
    """Read a checkpoint, verified against its manifest; the tensors are on the CPU.

    Args:
        folder: folder of the checkpoint.
        parts: read only these parts; None reads them all.
        max_bytes: refuse a part whose file is larger, without reading it; None accepts any size.

    Raises:
        RunError: it is missing or corrupted, lacks a part, has a part that is too large, or has
            another format version.
        OSError: a file cannot be read.
    """
    while True:
        before = _generation(folder)
        try:
            return _read(_place(folder), parts, max_bytes)
        except (RunError, OSError):
            # A training in progress may have replaced it by a newer one while it was read.
            if _generation(folder) == before:
                raise


def update_of(folder: Path) -> int:
    """Return the update after which a checkpoint of a training was made.

    Raises:
        RunError: it is missing or corrupted.
    """
    metadata = load_checkpoint(folder, parts=[]).metadata
    counters = metadata.get("counters", metadata)
    update = counters.get("update") if isinstance(counters, dict) else None
    if type(update) is not int:
        raise unusable(folder / METADATA, "has no number of updates")
    return update


def is_checkpoint(folder: Path) -> bool:
    """Return whether a folder holds a checkpoint (its files may still be corrupted).

    Raises:
        OSError: there is no permission to read the folder.
    """
    return (_place(folder) / MANIFEST).is_file()


def delete_checkpoint(folder: Path) -> None:
    """Remove a checkpoint; if interrupted, the remaining files are not a valid checkpoint."""
    for place in (*sibling_folders(folder), folder):
        (place / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)


def tidy_checkpoint(folder: Path) -> None:
    """Clean up after an interrupted save or deletion.

    The readable checkpoint stays the same; if there is none, everything is removed.
    """
    place = _place(folder)
    if place != folder:
        shutil.rmtree(folder, ignore_errors=True)
        place.rename(folder)
    for sibling in sibling_folders(folder):
        shutil.rmtree(sibling, ignore_errors=True)
    if not is_checkpoint(folder):
        shutil.rmtree(folder, ignore_errors=True)


def find_misfit(found: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> str | None:
    """Name a tensor that is missing, superfluous, or has another shape or dtype; None: all fit.

    Args:
        found: tensors by name.
        needed: tensors by name; only shape and dtype matter, so the device may be "meta".
    """
    for name in (*needed, *found):
        if name not in found:
            return f"tensor {name!r} is missing"
        if name not in needed:
            return f"unexpected tensor {name!r}"
        tensor, wanted = found[name], needed[name]
        if tensor.shape != wanted.shape:
            return f"tensor {name!r} has shape {list(tensor.shape)}, not {list(wanted.shape)}"
        if tensor.dtype != wanted.dtype:
            return f"tensor {name!r} is {tensor.dtype}, not {wanted.dtype}".replace("torch.", "")
    return None


def find_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name the first tensor with a NaN or an infinity; None: there is none."""
    return next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)


def _generation(folder: Path) -> list[tuple[Path, int, int]]:
    """Return a value that changes when a save has moved one of a checkpoint's folders."""
    found = []
    for place in (folder, *sibling_folders(folder)):
        with suppress(OSError):
            status = place.stat()
            found.append((place, status.st_ino, status.st_ctime_ns))
    return found


def _place(folder: Path) -> Path:
    """Return the folder of the newest complete checkpoint of this name, or `folder` if none is."""
    places = (folder, *sibling_folders(folder))
    return next((place for place in places if (place / MANIFEST).is_file()), folder)


def _split_aliases(named: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors on the CPU without duplicates, and the duplicates: alias -> name."""
    owners: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    seen: dict[tuple[object, ...], str] = {}
    for name, tensor in named.items():
        identity = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        owner = seen.setdefault(identity, name) if tensor.numel() else name
        if owner == name:
            owners[name] = tensor.detach().cpu().contiguous()
        else:
            aliases[name] = owner
    return owners, aliases


def _read(folder: Path, parts: Sequence[str] | None, max_bytes: int | None) -> Checkpoint:
    manifest = read_manifest(folder)
    missing = [part for part in parts or () if part not in manifest.aliases]
    if missing:
        raise RunError(
            f"{folder}: has no part {missing[0]!r}, only {', '.join(manifest.aliases)}; resume "
            "from `last`"
        )
    tensors = {
        part: _read_tensors(folder, part, manifest, max_bytes)
        for part in (manifest.aliases if parts is None else parts)
    }
    return Checkpoint(tensors, _read_metadata(folder, manifest))


def _read_metadata(folder: Path, manifest: Manifest) -> dict[str, Any]:
    content = read_verified(folder / METADATA, manifest, MAX_JSON_BYTES)
    try:
        metadata = parse_json(content)
    except ValueError as error:
        raise unusable(folder / METADATA, f"not JSON ({error})") from None
    if not isinstance(metadata, dict):
        raise unusable(folder / METADATA, "must be a JSON object")
    return metadata


def _read_tensors(
    folder: Path, part: str, manifest: Manifest, max_bytes: int | None
) -> dict[str, Tensor]:
    path = folder / tensor_file(part)
    content = read_verified(path, manifest, max_bytes)
    try:
        tensors = load(content)
        # safetensors takes the last of two tensors with one name; `parse_json` refuses them.
        parse_json(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    # KeyError: a dtype that torch does not have. OverflowError: a shape that is too large.
    except (SafetensorError, KeyError, RuntimeError, ValueError, OverflowError) as error:
        raise unusable(path, f"not a valid safetensors file ({error})") from None
    aliases = manifest.aliases[part]
    for alias, owner in aliases.items():
        if owner not in tensors or alias in tensors:
            reason = f"{alias!r} is an alias of {owner!r}, which does not match {path.name}"
            raise unusable(folder / MANIFEST, reason)
    return tensors | {alias: tensors[owner] for alias, owner in aliases.items()}

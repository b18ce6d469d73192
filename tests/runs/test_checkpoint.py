import hashlib
import json
import multiprocessing
import os
import pickle
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from nmt.core.errors import RunError
from nmt.runs import checkpoint as module, manifest as manifests
from nmt.runs.checkpoint import (
    delete_checkpoint,
    is_checkpoint,
    load_checkpoint,
    save_checkpoint,
    tidy_checkpoint,
    update_of,
)


def save(folder: Path, value: float = 1.0) -> None:
    save_checkpoint(
        folder,
        {"model": {"weight": torch.full((3, 2), value)}, "optimizer": {"0.step": torch.tensor(4)}},
        {"value": value},
    )


def test_loads_a_saved_checkpoint(tmp_path: Path) -> None:
    tensors = {
        "float32": torch.randn(2, 3),
        "bfloat16": torch.randn(4).bfloat16(),
        "int64": torch.tensor([2**40, -1]),
        "scalar": torch.tensor(3.0),
        "empty": torch.empty(0, 5),
        "turned": torch.randn(2, 3).t(),
    }
    metadata = {"exact": 0.1 + 0.2, "none": None, "text": "Grüße", "infinite": float("inf")}
    save_checkpoint(tmp_path / "a", {"model": tensors, "ema": {}}, metadata)
    loaded = load_checkpoint(tmp_path / "a")
    assert loaded.metadata == metadata
    assert loaded.tensors["ema"] == {}
    assert loaded.tensors["model"].keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(loaded.tensors["model"][name], tensor)
        assert loaded.tensors["model"][name].dtype == tensor.dtype


def test_tied_tensors_are_written_once_and_stay_tied(tmp_path: Path) -> None:
    table = torch.randn(100, 10)
    save_checkpoint(tmp_path / "tied", {"model": {"embedding": table, "output": table}}, {})
    save_checkpoint(tmp_path / "single", {"model": {"embedding": table}}, {})
    loaded = load_checkpoint(tmp_path / "tied").tensors["model"]
    assert torch.equal(loaded["output"], table)
    assert loaded["output"].data_ptr() == loaded["embedding"].data_ptr()
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("tied", "single")]
    assert sizes[0] == sizes[1]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    tensors = {str(index): torch.full((index,), 1.0) for index in range(20)}
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, {"model": tensors}, {})
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b


def test_single_parts_can_be_loaded(tmp_path: Path) -> None:
    save(tmp_path / "a")
    (tmp_path / "a/optimizer.safetensors").unlink()
    assert load_checkpoint(tmp_path / "a", ["model"]).tensors.keys() == {"model"}


def test_a_newer_one_replaces_the_old_one(tmp_path: Path) -> None:
    save(tmp_path / "a", 1.0)
    save(tmp_path / "a", 2.0)
    assert load_checkpoint(tmp_path / "a").metadata == {"value": 2.0}
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("call", range(20))
def test_stopped_at_any_system_call_the_old_or_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    class Killed(BaseException):
        pass

    save(tmp_path / "a", 1.0)
    count = 0

    def dies(function: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **options: object) -> object:
            nonlocal count
            if count == call:
                raise Killed
            count += 1
            return function(*arguments, **options)

        return wrapper

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", dies(os.fsync))
        patch.setattr(module.shutil, "rmtree", dies(module.shutil.rmtree))
        patch.setattr(Path, "rename", dies(Path.rename))
        patch.setattr(Path, "replace", dies(Path.replace))
        patch.setattr(Path, "mkdir", dies(Path.mkdir))
        patch.setattr(Path, "write_bytes", dies(Path.write_bytes))
        try:
            save(tmp_path / "a", 2.0)
        except Killed:
            finished = False
        else:
            finished = True
    found = load_checkpoint(tmp_path / "a")
    assert found.metadata["value"] in ([2.0] if finished else [1.0, 2.0])
    assert torch.all(found.tensors["model"]["weight"] == found.metadata["value"])
    save(tmp_path / "a", 3.0)
    assert load_checkpoint(tmp_path / "a").metadata == {"value": 3.0}
    assert os.listdir(tmp_path) == ["a"]


# The test process has threads of torch; what is forked off uses none of them.
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def save_for_ever(folder: Path) -> None:
    number = 1.0
    while True:
        number += 1.0
        save(folder, number)


@forks
def test_killed_while_it_saves_the_checkpoint_is_whole(tmp_path: Path) -> None:
    save(tmp_path / "a", 1.0)
    for attempt in range(6):
        process = multiprocessing.get_context("fork").Process(
            target=save_for_ever, args=(tmp_path / "a",)
        )
        process.start()
        time.sleep(0.05 + 0.013 * attempt)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        found = load_checkpoint(tmp_path / "a")
        assert torch.all(found.tensors["model"]["weight"] == found.metadata["value"])


@forks
def test_it_can_be_read_while_another_process_replaces_it(tmp_path: Path) -> None:
    save(tmp_path / "a", 1.0)
    process = multiprocessing.get_context("fork").Process(
        target=save_for_ever, args=(tmp_path / "a",)
    )
    process.start()
    try:
        seen = set()
        end = time.monotonic() + 60.0  # only where the other process gets no time to write
        while len(seen) < 50 and time.monotonic() < end:
            found = load_checkpoint(tmp_path / "a")
            assert torch.all(found.tensors["model"]["weight"] == found.metadata["value"])
            seen.add(found.metadata["value"])
    finally:
        process.kill()
        process.join()
    assert len(seen) > 1


def test_a_deleted_one_is_gone_even_if_deleting_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "a")
    monkeypatch.setattr(module.shutil, "rmtree", lambda folder, ignore_errors: None)
    assert is_checkpoint(tmp_path / "a")
    delete_checkpoint(tmp_path / "a")
    assert not is_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("name", ["model.safetensors", "metadata.json"])
def test_a_file_cut_short_is_named(tmp_path: Path, name: str) -> None:
    save(tmp_path / "a")
    content = (tmp_path / "a" / name).read_bytes()
    (tmp_path / "a" / name).write_bytes(content[:-1])
    message = rf"a/{name}: corrupted: {len(content) - 1} bytes instead of {len(content)}"
    with pytest.raises(RunError, match=message):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("position", [0, 40, -1])
def test_a_changed_byte_is_found(tmp_path: Path, position: int) -> None:
    save(tmp_path / "a")
    path = tmp_path / "a/model.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    message = (
        r"a/model.safetensors: corrupted: SHA-256 differs from .*; put back a copy of a, or use"
    )
    with pytest.raises(RunError, match=message):
        load_checkpoint(tmp_path / "a")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a")
    (tmp_path / "a/model.safetensors").unlink()
    with pytest.raises(RunError, match=r"a/model.safetensors: missing from the checkpoint"):
        load_checkpoint(tmp_path / "a")


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(RunError, match=r"a/manifest.json: missing, so this is not a checkpoint"):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("content", ["{", "", "\x00"])
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    save(tmp_path / "a")
    (tmp_path / "a/manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"a/manifest.json: corrupted: not JSON"):
        load_checkpoint(tmp_path / "a")


def write_manifest(folder: Path, manifest: object) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_another_format_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a")
    checksum = hashlib.sha256(b'{"format":2}').hexdigest()
    write_manifest(tmp_path / "a", {"format": 2, "sha256": checksum})
    message = r"manifest.json: checkpoint format 2 is not supported, only 1; use the version"
    with pytest.raises(RunError, match=message):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("content", ['{"format": 1}', "[]", "1", '{"format": 1, "sha256": "0"}'])
def test_a_manifest_that_is_not_the_one_that_was_written(tmp_path: Path, content: str) -> None:
    save(tmp_path / "a")
    (tmp_path / "a/manifest.json").write_text(content)
    with pytest.raises(RunError, match=r"a/manifest.json: corrupted: SHA-256 mismatch; put ba"):
        load_checkpoint(tmp_path / "a")


def test_any_changed_byte_of_the_manifest_is_found(tmp_path: Path) -> None:
    table = torch.ones(2)
    save_checkpoint(tmp_path / "a", {"model": {"a": table, "b": table, "c": table + 1}}, {})
    path = tmp_path / "a/manifest.json"
    content = path.read_bytes()
    for position in range(len(content)):
        for mask in (1, 3, 32, 128):
            changed = bytearray(content)
            changed[position] ^= mask
            path.write_bytes(changed)
            with pytest.raises(RunError, match=r"a/manifest.json: corrupted"):
                load_checkpoint(tmp_path / "a")


def test_files_of_a_killed_save_are_removed(tmp_path: Path) -> None:
    for name, whole in [("a", True), ("a.new", False), ("a.old", False), ("b", False)]:
        save(tmp_path / name, 1.0)
        if not whole:
            (tmp_path / name / "manifest.json").unlink()
    save(tmp_path / "c.old", 3.0)
    (tmp_path / "c").mkdir()
    for name in ("a", "b", "c"):
        tidy_checkpoint(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == ["a", "c"]
    assert load_checkpoint(tmp_path / "c").metadata == {"value": 3.0}


def test_a_part_that_it_lacks_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "best", {"model": {}}, {})
    with pytest.raises(
        RunError, match=r"best: has no part 'optimizer', only model; .* from `last`"
    ):
        load_checkpoint(tmp_path / "best", ["optimizer"])


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a", 1.0)

    def fails(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fails)
    told = r"a: cannot write the checkpoint \(No space left on.*\).*; free disk space, then resume$"
    with pytest.raises(RunError, match=told):
        save(tmp_path / "a", 2.0)
    assert load_checkpoint(tmp_path / "a").metadata == {"value": 1.0}


def test_a_tensor_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    save(tmp_path / "a", 1.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(RunError, match=r"\(.*File too large.*ulimit -f\), then resume$"):
            save_checkpoint(tmp_path / "a", {"model": {"weight": torch.zeros(1_000)}}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert load_checkpoint(tmp_path / "a").metadata == {"value": 1.0}


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a")
    (tmp_path / "a/model.safetensors").unlink()
    (tmp_path / "a/model.safetensors").mkdir()
    with pytest.raises(RunError, match=r"a/model.safetensors: corrupted: \d+ bytes"):
        load_checkpoint(tmp_path / "a")


def test_a_manifest_that_cannot_be_read_is_named(
    tmp_path: Path, forbid: Callable[[Path], None]
) -> None:
    save(tmp_path / "a")
    forbid(tmp_path / "a/manifest.json")
    with pytest.raises(PermissionError, match=r"a/manifest.json"):
        load_checkpoint(tmp_path / "a")


class Armed:
    """Makes a file when it is read from a pickle."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("write", [pickle.dump, torch.save], ids=["pickle", "torch.save"])
@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "metadata.json"])
def test_a_pickle_in_the_place_of_a_file_is_not_run(
    name: str, write: Callable[..., None], tmp_path: Path
) -> None:
    """Nor where the manifest has its size and checksum, as a stranger can write these too."""
    save(tmp_path / "a")
    marker = tmp_path / "ran"
    with (tmp_path / "a" / name).open("wb") as file:
        write(Armed(marker), file)
    content = (tmp_path / "a" / name).read_bytes()
    manifest = json.loads((tmp_path / "a/manifest.json").read_text())
    manifest["files"][name] = {"size": len(content), "sha256": manifests._sha256(content)}
    del manifest["sha256"]
    manifest["sha256"] = manifests._sha256(manifests._compact(manifest))
    (tmp_path / "a/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises((RunError, SafetensorError, ValueError)) as refused:
        load_checkpoint(tmp_path / "a")
    assert "SHA-256" not in str(refused.value), "the checksums are right"
    assert not marker.exists()
    if write is pickle.dump:
        pickle.loads(content)
        assert marker.exists(), "the pickle is armed"


@pytest.mark.parametrize("metadata", [{"update": 7}, {"counters": {"update": 7}}])
def test_update_of_weights_only_and_of_a_full_checkpoint(
    metadata: dict[str, object], tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "best", {}, metadata)
    assert update_of(tmp_path / "best") == 7


def test_missing_checkpoint_lists_the_others(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="step-3: no such checkpoint; the run has none yet"):
        load_checkpoint(tmp_path / "checkpoints" / "step-3")
    for name in ("last", "step-1000", "step-900", "best"):
        save(tmp_path / "checkpoints" / name)
    (tmp_path / "checkpoints" / "step-1").mkdir()
    found = r"step-3: no such checkpoint; available: best, last, step-900, step-1000$"
    with pytest.raises(RunError, match=found):
        load_checkpoint(tmp_path / "checkpoints" / "step-3")

import os
from pathlib import Path

import pytest
import torch
import yaml

from nmt.cli.main import main
from nmt.config.file import load_config
from nmt.core.errors import RunError, UserError
from nmt.training.train import explain_disk_errors, train


def test_a_full_disk_is_one_line() -> None:
    full = (
        r"^runs/x: No space left on device; free disk space; --resume continues from the last check"
    )
    with (
        pytest.raises(RunError, match=full),
        explain_disk_errors("runs/x"),
        Path("/dev/full").open("w") as file,
    ):
        file.write("a")


def test_file_is_named_if_known(tmp_path: Path) -> None:
    with (
        pytest.raises(RunError, match=rf"^{tmp_path}: Is a directory"),
        explain_disk_errors("runs/x"),
    ):
        tmp_path.read_text()


def test_error_without_a_file_is_unchanged() -> None:
    with pytest.raises(BrokenPipeError) as raised, explain_disk_errors("runs/x"):
        raise BrokenPipeError(32, "Broken pipe")
    assert raised.value.filename is None


@pytest.mark.parametrize("way", ["train", "check", "api"])
def test_memory_is_measured_after_the_process_is_set_up(
    way: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text").write_text("a b c\n")
    text = {"source": str(tmp_path / "text"), "target": str(tmp_path / "text")}
    config = {
        "run": str(tmp_path / "run"),
        "device": "cpu",
        "data": {"train": text},
        "tokenizer": {"name": "words"},
        "training": {
            "batch_tokens": "auto",
            "num_threads": 3,
            "early_stopping": None,
            "validation": {"metrics": [], "best": "loss"},
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        monkeypatch.setenv(name, "")  # so that it is put back as it was
        monkeypatch.delenv(name)
    done: list[object] = []
    monkeypatch.setattr(torch, "set_num_threads", done.append)
    monkeypatch.setattr("nmt.system.process.keep_freed_memory", lambda: done.append("memory"))

    def probe(*given: object, **options: object) -> int:
        assert done == ["memory", 3]
        assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "256"
        assert os.environ["LRU_CACHE_CAPACITY"] == "64"
        raise UserError("measured")

    monkeypatch.setattr("nmt.training.prepare_data.probe_batch_tokens", probe)
    if way == "api":
        with pytest.raises(UserError, match="measured"):
            train(load_config(tmp_path / "config.yaml"))
    else:
        assert main([way, str(tmp_path / "config.yaml")]) == 2
        assert capsys.readouterr().err.endswith("nmt: error: measured\n")

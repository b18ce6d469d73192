"""What a training takes from the run that it starts from, and what it says of the rest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.build.tokenizers import Tokenizers, build_tokenizers, load_tokenizers
from nmt.config.experiment import Config
from nmt.config.file import dump_config
from nmt.core.errors import ConfigError, RunError
from nmt.runs.run import Run, RunDirectory
from nmt.training import fine_tuning
from nmt.training.fine_tuning import copy_pretrained_tokenizers, log_differences, open_base

SUBWORDS = {"name": "sentencepiece", "vocabulary_size": 16, "sampling_alpha": 0.1}
WORDS = {"name": "words", "shared": False}
TEXT = {"source": "a.txt", "target": "a.txt"}
GRIDS = {"grids": "a.npz", "target": "a.txt"}
CELLS = {"name": "grid", "channels": 3}


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with a corpus; the best checkpoint of any run is taken to be there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fine_tuning, "is_checkpoint", lambda folder: True)
    Path("a.txt").write_text("one two three\n" * 2)
    np.savez("a.npz", *np.zeros((2, 2, 2, 3)))


def config(*corpora: dict[str, Any], tokenizer: dict[str, Any] = WORDS, **model: Any) -> Config:
    held_out = {**(corpora or (TEXT,))[0], "weight": 1.0}
    data = {"train": list(corpora or (TEXT,)), "valid": held_out}
    tree = {"run": "runs/new", "data": data, "tokenizer": tokenizer, "model": model}
    return Config.model_validate({**tree, "start_from": "runs/base"})


def make_base(made: Config) -> Tokenizers:
    base = RunDirectory.create("runs/base")
    base.write_config(dump_config(made.model_copy(update={"start_from": None})))
    return build_tokenizers(made, base)


def copy(made: Config, folder: str = "runs/new") -> Tokenizers:
    base = open_base(made)
    assert base is not None
    return copy_pretrained_tokenizers(made, RunDirectory(Path(folder)), base)


def refused(made: Config) -> str:
    with pytest.raises(ConfigError) as caught:
        copy(made, made.run)
    assert not Path(made.run).exists()
    return str(caught.value)


@pytest.mark.parametrize("options", [SUBWORDS, WORDS])
def test_tokenizers_are_adopted(options: dict[str, Any]) -> None:
    theirs = make_base(config(tokenizer=options))
    run = RunDirectory(Path("runs/new"))
    ours = copy(config(tokenizer=options))
    run.write_config(dump_config(config(tokenizer=options)))
    saved = load_tokenizers(Run.open(run.path))
    for adopted in (ours, saved):
        assert adopted.source.fingerprint() == theirs.source.fingerprint()
        assert adopted.target.fingerprint() == theirs.target.fingerprint()


def test_other_options_of_a_tokenizer_are_refused() -> None:
    make_base(config(tokenizer=SUBWORDS))
    assert refused(config(tokenizer={**SUBWORDS, "sampling_alpha": 0.0})) == (
        "tokenizer.sampling_alpha: differs from start_from (0.1 -> 0.0), whose tokenizers and "
        "weights are used; add `extends: runs/base/config.yaml` to use all its options"
    )


def test_tokenizer_folder_of_the_base_run_may_be_missing() -> None:
    first = build_tokenizers(config(tokenizer=SUBWORDS), RunDirectory(Path("first")))
    given = {**SUBWORDS, "source_path": "first/tokenizer/shared"}
    make_base(config(tokenizer=given))
    Path("first").rename("elsewhere")
    ours = copy(config(tokenizer=given))
    assert ours.source.fingerprint() == first.source.fingerprint()


def test_folders_of_tokenizers_may_be_others_that_hold_the_same() -> None:
    make_base(config())
    copy(config(tokenizer={**WORDS, "source_path": "runs/base/tokenizer/source"}))


@pytest.mark.parametrize("side", ["source", "target"])
def test_another_tokenizer_is_refused(side: str) -> None:
    make_base(config())
    Path("b.txt").write_text("four\n")
    files = {"source": "b.txt", "target": "b.txt"}
    build_tokenizers(config(files), RunDirectory(Path("other")))
    folder = f"other/tokenizer/{side}"
    assert refused(config(tokenizer={**WORDS, f"{side}_path": folder})) == (
        f"tokenizer.{side}_path: {folder}: differs from the tokenizer of start_from, which is "
        "used; leave it out"
    )


def test_grids_and_text_do_not_start_from_each_other() -> None:
    make_base(config(GRIDS, encoder=CELLS))
    assert refused(config()) == (
        "start_from: runs/base reads grids, but model.encoder 'recurrent' reads text; start from a "
        "run that reads text"
    )


@pytest.mark.parametrize("tokenizer", [SUBWORDS, WORDS])
def test_text_and_grids_do_not_start_from_each_other(tokenizer: dict[str, Any]) -> None:
    make_base(config(tokenizer=tokenizer))
    assert refused(config(GRIDS, encoder=CELLS)) == (
        "start_from: runs/base reads text, but model.encoder 'grid' reads grids; start from a run "
        "that reads grids"
    )


def test_grids_of_another_size_are_refused() -> None:
    make_base(config(GRIDS, encoder=CELLS))
    copy(config(GRIDS, encoder={**CELLS, "dropout": 0.5}), "x")
    for key, there, here in (("channels", 3, 4), ("max_rows", 16, 9), ("max_columns", 16, 9)):
        message = refused(config(GRIDS, encoder={**CELLS, key: here}))
        assert message.startswith(
            f"model.encoder.{key}: differs from start_from ({there} -> {here})"
        )


def told(caplog: pytest.LogCaptureFixture, made: Config, tokenizers: Tokenizers) -> list[str]:
    base = open_base(made)
    assert base is not None
    with caplog.at_level("INFO", "nmt.training.fine_tuning"):
        caplog.clear()
        log_differences(made, base, tokenizers)
    return [record.getMessage() for record in caplog.records]


def test_more_than_one_percent_unknown_tokens_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    tokenizers = make_base(config())
    for name, num_known in (("most", 99), ("more", 98)):
        Path(f"{name}.txt").write_text("two\n" * num_known + "new\n")
    Path("known.txt").write_text("one\n" * 100)
    most = {"source": "most.txt", "target": "most.txt"}
    assert told(caplog, config(most), tokenizers) == []
    for side, files in (
        ("source", {"source": "more.txt", "target": "known.txt"}),
        ("target", {"source": "known.txt", "target": "more.txt"}),
    ):
        Path("known.txt").write_text("one\n" * 99)
        sentence = (
            f"1.0% of the {side} tokens are unknown to the tokenizer of runs/base, so the model "
            "will not learn them; use text of the same kind, or train from scratch"
        )
        assert told(caplog, config(files), tokenizers) == [f"data.train: {sentence}"]
        assert told(caplog, config(most, files), tokenizers) == [f"data.train[1]: {sentence}"]


def test_only_text_is_checked_for_unknown_tokens_with_grids(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizers = make_base(config(GRIDS, encoder=CELLS))
    monkeypatch.delattr("nmt.data.formats.grids.GridReader.encode")
    Path("a.txt").write_text("one\nnew\n")
    (warning,) = told(caplog, config(GRIDS, encoder=CELLS), tokenizers)
    assert warning.startswith("data.train: 50.0% of the target tokens are unknown")


def test_different_model_options_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    tokenizers = make_base(config())
    assert told(caplog, config(), tokenizers) == []
    made = config(bridge="mean", embedding={"dropout": 0.5})
    assert told(caplog, made, tokenizers) == [
        "starting from the weights of runs/base, with other options: model.embedding.dropout: "
        "0.2 -> 0.5; model.bridge.name: 'final' -> 'mean'"
    ]


def test_a_base_that_may_not_be_read_is_named_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied", "runs/base")

    monkeypatch.setattr(Run, "open", denied)
    with pytest.raises(RunError, match=r"^start_from: runs/base: Permission denied$"):
        open_base(config())


def test_base_run_without_a_best_checkpoint_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_base(config())
    monkeypatch.setattr(fine_tuning, "is_checkpoint", lambda folder: False)
    with pytest.raises(RunError, match=r"^start_from: runs/base/checkpoints/best: no best"):
        open_base(config())

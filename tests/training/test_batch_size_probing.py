import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from nmt.config.experiment import Config
from nmt.config.file import dump_config, load_config
from nmt.core.errors import UserError
from nmt.data.batching import Shard
from nmt.data.encoded_corpus import EncodedCorpus, EncodedSide
from nmt.data.filters import FilterReport
from nmt.data.ragged import RaggedArray
from nmt.runs.run import RunDirectory
from nmt.system import memory
from nmt.training import batch_size_probing
from nmt.training.batch_size_probing import fitting_tokens
from nmt.training.prepare_data import prepare_data, resolve_auto, resolve_auto_from

CPU = torch.device("cpu")
MEGABYTE = 2**20


@pytest.mark.parametrize("length", [10, 4_000])
def test_memory_probing_divides_by_the_memory_of_a_token(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """90 MB, 200 MB from the first step on, and 60 kB a token, of a gigabyte beside 500 MB."""
    in_use = [500 * MEGABYTE]
    monkeypatch.setattr(batch_size_probing, "free_memory", lambda device: 1024 * MEGABYTE)
    monkeypatch.setattr(batch_size_probing, "reset_peak_memory", lambda device: 500 * MEGABYTE)
    monkeypatch.setattr(batch_size_probing, "peak_memory", lambda device: in_use[-1])

    def update(num_sentences: int) -> None:
        state = 0 if len(in_use) == 1 else 200
        in_use.append((500 + 90 + state) * MEGABYTE + num_sentences * length * 60_000)

    expected = int((0.8 * 1024 - 90 - 200) * MEGABYTE / 60_000)
    assert fitting_tokens(update, length, CPU) == pytest.approx(expected, abs=1)


# Each token takes 20 kB, of a gigabyte that is free.
AFTER_OTHER_WORK = """
import torch
from nmt.system.process import keep_freed_memory
from nmt.training import batch_size_probing as probing

keep_freed_memory()
torch.ones(400 * 2**20, dtype=torch.uint8)
probing.free_memory = lambda device: 2**30

def update(num_sentences):
    torch.ones(num_sentences * 10 * 20_000, dtype=torch.uint8)

print(probing.fitting_tokens(update, 10, torch.device("cpu")))
"""


@pytest.mark.skipif(not memory._CLEAR.exists(), reason="the peak can be reset on Linux alone")
def test_memory_that_was_freed_before_and_kept_hides_nothing() -> None:
    command = [sys.executable, "-c", AFTER_OTHER_WORK]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(output) == pytest.approx(0.8 * 2**30 / 20_000, rel=0.1)


def test_the_memory_of_a_machine_is_for_all_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size_probing, "free_memory", lambda device: 1024)
    assert batch_size_probing._free(CPU) == 1024
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert batch_size_probing._free(CPU) == 256
    assert batch_size_probing._free(torch.device("cuda")) == 1024, "each has a GPU of its own"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "train.en").write_text("a b c d\n" * 6_000)
    (tmp_path / "train.de").write_text("x y z\n" * 6_000)
    corpus = {"source": str(tmp_path / "train.en"), "target": str(tmp_path / "train.de")}
    return Config.model_validate(
        {
            "run": str(tmp_path / "run"),
            "device": "cpu",
            "precision": "float32",
            "data": {"train": corpus, "valid": corpus},
            "tokenizer": {"name": "words", "shared": False},
            "model": {
                "embedding": {"size": 4},
                "encoder": {"hidden_size": 4},
                "decoder": {"hidden_size": 4},
            },
            "training": {"batch_tokens": "auto"},
        }
    )


def gathered(config: Config) -> int | None:
    return prepare_data(config, RunDirectory(Path(config.run))).batch_tokens


def test_a_hundredth_of_an_epoch_is_as_much_as_is_useful(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert gathered(config) == 300  # 6,000 times 4 tokens and EOS
    assert "training.batch_tokens: auto: 300 (" in caplog.text
    training = config.training.model_copy(update={"accumulate": 2})
    assert gathered(config.model_copy(update={"training": training})) == 150


def test_no_more_than_fits(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size_probing, "fitting_tokens", lambda update, length, device: 120)
    assert gathered(config) == 120


@pytest.mark.parametrize(("size", "accumulate", "sharing"), [(2, 1, 2), (3, 2, 1), (5, 2, 2)])
def test_a_batch_that_processes_share_is_larger(
    size: int, accumulate: int, sharing: int, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By as many as there are at a batch at least: of three at two batches one has a whole."""
    monkeypatch.setattr(batch_size_probing, "fitting_tokens", lambda update, length, device: 20)
    training = config.training.model_copy(update={"accumulate": accumulate})
    config = config.model_copy(update={"training": training})
    run = RunDirectory(Path(config.run))
    assert prepare_data(config, run, shard=Shard(0, size)).batch_tokens == 20 * sharing


def corpus_of(lengths: list[tuple[int, int]], width: tuple[int, ...] = ()) -> EncodedCorpus:
    """Of pairs of so many tokens, or of vectors and tokens."""
    sides = [
        RaggedArray.from_rows([np.full((length, *shape), 4) for length in of_side])
        for of_side, shape in zip(zip(*lengths, strict=True), (width, ()), strict=True)
    ]
    source, target = (EncodedSide(cast(Any, None), side) for side in sides)
    return EncodedCorpus(source, target, FilterReport(), Path())


@pytest.mark.parametrize(
    ("corpora", "expected"),
    [
        ([[(99, 99), (5, 3)]], (99, 99)),
        ([[(99, 3), (3, 99)]], (99, 99)),  # a batch of both has them padded to that
        ([[(99, 3)], [(3, 99)]], (99, 99)),
        ([[(99, 3)] * 2], (3, 3)),
        # Attention looks at 20 positions for each token at the most, and a batch of short pairs
        # has as many tokens on both sides.
        ([[(20, 99), (5, 5), (4, 3)]], (20, 20)),
        ([[(300, 30), (50, 10)]], (30, 30)),
    ],
)
def test_no_batch_takes_more_for_a_token_than_the_pair_that_is_tried(
    corpora: list[list[tuple[int, int]]], expected: tuple[int, int]
) -> None:
    source, target = batch_size_probing._fullest_pair([corpus_of(lengths) for lengths in corpora])
    assert (len(source), len(target)) == expected
    for a, b, c in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (9, 5, 1), (1, 9, 0.1)):

        def memory(s: int, t: int, a: float = a, b: float = b, c: float = c) -> float:
            return (a * s + b * t + c * s * t) / max(s, t)

        most = max(memory(*pair) for lengths in corpora for pair in lengths)
        assert memory(*expected) >= most - 1e-9


def test_grids_are_tried_as_rows_of_numbers() -> None:
    source, target = batch_size_probing._fullest_pair([corpus_of([(6, 2), (9, 3)], width=(5,))])
    assert np.shape(source) == (3, 5) and np.shape(target) == (3,)


def test_out_of_memory_while_probing_is_reported(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*arguments: object) -> int:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(batch_size_probing, "fitting_tokens", run_out)
    with pytest.raises(UserError, match="auto: out of memory at pairs of 4 tokens; leave out"):
        gathered(config)


@pytest.mark.parametrize("fitting", [-1_263, 4])
def test_no_memory_for_the_longest_pair(
    fitting: int, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        batch_size_probing, "fitting_tokens", lambda update, length, device: fitting
    )
    run = RunDirectory(Path(config.run))
    with pytest.raises(UserError, match="auto: out of memory at pairs of 5 tokens; leave out"):
        prepare_data(config, run, shard=Shard(0, 2))


def test_probing_leaves_the_random_generator_unchanged(config: Config) -> None:
    torch.manual_seed(1)
    gathered(config)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(3))


def test_resolved_auto_options_are_kept_on_resume(config: Config) -> None:
    run = RunDirectory(Path(config.run))
    data = prepare_data(config, run)
    resolved = resolve_auto(config, replace(data, batch_tokens=77))
    assert resolved.training.batch_tokens == 77
    run.write_config(dump_config(resolved))
    assert resolve_auto_from(config, load_config(run.config)) == resolved
    fixed = resolve_auto(config, replace(data, batch_tokens=88))
    assert resolve_auto_from(fixed, load_config(run.config)) == fixed


def test_the_tokenizer_of_bleu_and_the_normal_form_are_kept_from_when_the_run_began(
    config: Config,
) -> None:
    run = RunDirectory(Path(config.run))
    Path(config.data.train[0].target or "").write_text("我们 去 吧\n" * 6_000)
    data = prepare_data(config, run)
    assert data.bleu_tokenizer == "zh"
    resolved = resolve_auto(config, data)
    assert resolved.training.validation.metrics[0].options["tokenize"] == "zh"
    older = resolved.tokenizer.model_copy(update={"normalization": "nfkc"})
    resolved = resolved.model_copy(update={"tokenizer": older})
    run.write_config(dump_config(resolved))
    # What the file does not say is as it was, whatever the defaults are by now.
    again = resolve_auto_from(config, load_config(run.config))
    assert again.training.validation == resolved.training.validation
    assert again.tokenizer.normalization == "nfkc"
    said = Config.model_validate(
        {**config.model_dump(mode="json"), "tokenizer": {"name": "words", "normalization": "nfc"}}
    )
    assert resolve_auto_from(said, load_config(run.config)).tokenizer.normalization == "nfc"

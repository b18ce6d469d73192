"""What validation measures is what `nmt translate` writes with the same options."""

import contextlib
import functools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.main import main
from nmt.config.decoding import DecodingConfig
from nmt.config.experiment import Config
from nmt.config.file import load_config
from nmt.inference.translator import Translator
from nmt.runs.checkpoint import load_checkpoint
from nmt.runs.run import BEST, RunDirectory
from nmt.training.logs import reporter
from nmt.training.new_state import build_state
from nmt.training.prepare_data import prepare_data
from nmt.training.signals import Interruption
from nmt.training.validation import describe_search

NUM_VALID = 10
CONFIG = f"""
run: run
device: cpu
precision: float32
data:
  train: {{source: train.src, target: train.tgt}}
  valid: {{source: valid.src, target: valid.tgt}}
tokenizer: {{name: words, shared: false, min_count: 2}}
model:
  embedding: {{size: 16, dropout: 0}}
  encoder: {{hidden_size: 16, dropout: 0}}
  decoder: {{hidden_size: 16, output_dropout: 0}}
training:
  batch_tokens: 100
  num_threads: 1
  max_epochs: 8
  optimizer: {{name: adam, learning_rate: 0.02}}
  validation: {{every: 1000, num_samples: {NUM_VALID}, beam_size: null}}
"""
OPTIONS: dict[str, dict[str, Any]] = {
    "search": {"search": {"name": "sampling", "temperature": 2.0}},
    "beam_size": {"beam_size": 1},
    "n_best": {"n_best": 4, "search": {"name": "beam", "stopping": "first"}},
    "length_penalty": {"length_penalty": {"name": "word_reward", "reward": 3.0}},
    "coverage_penalty": {"coverage_penalty": {"name": "see", "beta": 5.0}},
    "min_length": {"min_length": 9},
    "max_length": {"max_length": 1},
    "min_length_ratio": {"min_length_ratio": 2.0},
    "max_length_ratio": {"max_length_ratio": 0.1, "min_length": 15},
    "no_repeat_ngram_size": {"no_repeat_ngram_size": 1},
    "repetition_penalty": {"repetition_penalty": 9.0},
    "eos_threshold": {"eos_threshold": 0.05},
    "forbidden": {"forbidden": ["x"]},
    "replace_unknown": {"replace_unknown": True},
    "dictionary": {"replace_unknown": True, "dictionary": "dictionary.tsv"},
    "shortlist": {"shortlist": {"candidates": 1, "frequent": 1}},
    "mbr": {"mbr": "chrf", "mbr_candidates": 8, "search": {"name": "sampling"}},
    "mbr_candidates": {"mbr": "chrf", "mbr_candidates": 2, "search": {"name": "sampling"}},
    "batch_tokens": {"batch_tokens": 30},
    "max_source_length": {"max_source_length": 1},
}
WITHOUT_EFFECT = {"batch_tokens"}
"""Options that change how the work is done, and not what is written."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that writes names as unknown words: each stands in one pair alone."""
    folder = tmp_path_factory.mktemp("validated")
    rng = random.Random(1)
    for name, size in (("train", 300), ("valid", NUM_VALID)):
        words = [rng.choices("abc", k=rng.randint(1, 4)) for _ in range(size)]
        names = [f"{name}{number}" for number in range(size)]
        source = [" ".join([*line, n]) for line, n in zip(words, names, strict=True)]
        turned = [" ".join(line).translate(str.maketrans("abc", "xyz")) for line in words]
        target = [f"{line} {n}" for line, n in zip(turned, names, strict=True)]
        (folder / f"{name}.src").write_text("\n".join(source) + "\n")
        (folder / f"{name}.tgt").write_text("\n".join(target) + "\n")
    entries = [f"valid{number}\tname-{number}\n" for number in range(NUM_VALID)]
    (folder / "dictionary.tsv").write_text("".join(entries))
    (folder / "run.yaml").write_text(CONFIG)
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporter, "plot_learning_curves", lambda panels, path: None)
        assert main(["train", "run.yaml"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _in_folder(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        yield


def validated(config: Config) -> list[str]:
    """Return what validation translates the validation set to, with the best weights."""
    run = RunDirectory(Path("run"))
    state = build_state(config, run, prepare_data(config, run, is_begun=True))
    state.model.load_state_dict(load_checkpoint(run.checkpoint(BEST)).tensors["model"])
    assert state.validator is not None
    return [sample.translation for sample in state.validator(Interruption()).samples]


def translated(decoding: dict[str, Any]) -> list[str]:
    return _translated(json.dumps(decoding))


@functools.cache
def _translated(decoding: str) -> list[str]:
    sources = Path("valid.src").read_text().splitlines()
    translator = Translator.from_run("run", device="cpu", decoding=json.loads(decoding))
    return [translation.text for translation in translator.translate(sources)]


@pytest.mark.parametrize("option", list(DecodingConfig.model_fields))
def test_validation_translates_as_translate_does(option: str) -> None:
    decoding = OPTIONS[option]
    texts = validated(load_config("run.yaml", options={"decoding": decoding}))
    assert texts == translated(decoding)
    others = {key: value for key, value in decoding.items() if key != option}
    assert (texts == translated(others)) == (option in WITHOUT_EFFECT), "the test must notice"


def test_a_quick_search_keeps_all_other_options() -> None:
    overrides = ["decoding.replace_unknown=true", "training.validation.beam_size=1"]
    texts = validated(load_config("run.yaml", overrides))
    assert texts == translated({"replace_unknown": True, "beam_size": 1})
    assert any("valid" in text for text in texts), "names are copied"


@pytest.mark.parametrize(
    ("decoding", "beam_size", "told"),
    [
        ({"replace_unknown": True}, 1, "decoding.beam_size: 5 -> 1"),
        ({"beam_size": 1, "length_penalty": "none"}, 1, None),
        ({"mbr": "chrf", "beam_size": 40}, 40, "decoding.mbr: 'chrf' -> 'none'"),
        ({"mbr": "chrf", "search": "sampling"}, None, None),
    ],
)
def test_a_quicker_search_is_announced(
    decoding: dict[str, Any], beam_size: int | None, told: str | None
) -> None:
    validation = {"validation": {"beam_size": beam_size}}
    config = load_config("run.yaml", options={"decoding": decoding, "training": validation})
    start = "validation searches faster than `nmt translate` (training.validation.beam_size): "
    assert describe_search(config) == (told and start + told)

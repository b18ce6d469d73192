"""Numbers that no person means: each is refused in one line, or does no harm."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import BaseModel

from nmt.config.experiment import Config
from nmt.config.file import load_config
from nmt.config.registry import table_in
from nmt.config.tree import groups_in
from nmt.core.errors import ConfigError
from nmt.system.memory import peak_memory, reset_peak_memory

EXTREMES: dict[type, list[str]] = {
    int: ["1000000000", "1000000000000000000", str(10**160)],
    float: ["1e308", "1e-300", "1e-320", "-0.0", str(10**160)],
}
GROUPS = {  # of options that are null, and options that some need
    "training.scheduled_sampling.": ["training.scheduled_sampling={}"],
    "decoding.shortlist.": ["decoding.shortlist={}"],
}
MOST_SECONDS = 2.0
MOST_BYTES = 500_000_000


def kinds(annotation: Any) -> set[type]:
    """Return which of the types with extremes an option takes."""
    if annotation in EXTREMES:
        return {annotation}
    return {kind for part in get_args(annotation) for kind in kinds(part)}


def numbers(model: type[BaseModel], above: str, chosen: list[str]) -> Iterator[list[str]]:
    """Yield, for each extreme of each numeric option, the overrides that set it."""
    for name, field in model.model_fields.items():
        key = above + name
        for kind in kinds(field.annotation):
            needed = next((GROUPS[group] for group in GROUPS if key.startswith(group)), [])
            for value in EXTREMES[kind]:
                yield [*needed, *chosen, f"{key}={value}"]
        table, groups = table_in(field), groups_in(field.annotation)
        for plugin in () if table is None else table.classes:
            options = [*chosen, f"{key}={{name: {plugin}}}"]
            yield from numbers(table.options(plugin), f"{key}.", options)
        if groups and (table is None or name == "tokenizer") and key != "data.train":
            chosen_group = [f"{key}={{}}"] if field.default is None else []
            # The second encoder needs grids as data; its sizes are tested below.
            yield from numbers(groups[0], f"{key}.", [*chosen, *chosen_group])


def overrides() -> list[list[str]]:
    corpus = "source: train.en, target: train.de"
    weights = [[f"data.train=[{{{corpus}, weight: {value}}}]"] for value in EXTREMES[float]]
    keys = [item for item in numbers(Config, "", []) if "data.valid.weight" not in item[-1]]
    return [*weights, *keys]


def accepted() -> list[list[str]]:
    """Return the overrides that a configuration takes."""
    return [given for given in overrides() if message(given) is None]


def message(given: list[str]) -> str | None:
    try:
        load_config("tiny.yaml", given)
    except ConfigError as error:
        return str(error)
    return None


def test_every_number_is_refused_in_one_line_or_loads(in_trained: Path) -> None:
    given = overrides()
    assert len(given) > 150
    messages = [text for text in map(message, given) if text is not None]
    assert len(messages) > 70
    assert not [text for text in messages if "\n" in text]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            "training.schedule.warmup=1" + 160 * "0",
            "must be at most 1,000,000,000,000,000,000, not",
        ),
        (
            "training.schedule={name: cosine, num_updates: 1" + 20 * "0" + "}",
            "num_updates: must be",
        ),
        ("training.max_updates=1000000000000000001", "must be at most 1,000,000,000,000,000,000"),
        (
            "training.validation.metrics={name: chrf, char_order: 21}",
            "must be at most 20, not '21'",
        ),
        (
            "training.validation.metrics={name: chrf, word_order: 21}",
            "must be at most 20, not '21'",
        ),
        (
            "training.validation.metrics={name: chrf, beta: 1001}",
            "must be at most 1,000, not '1001'",
        ),
        ("training.validation.metrics={name: bleu, smooth_value: 1e308}", "must be at most 1,000"),
    ],
)
def test_numbers_that_overflow_are_refused(option: str, sentence: str, in_trained: Path) -> None:
    text = message([option])
    assert text is not None
    assert sentence in text and "\n" not in text


@pytest.mark.parametrize(
    "option", ["weight_decay: 1.1e9", "weight_decay: 1e308", "betas: [0.9, 1e308]"]
)
def test_numbers_of_an_optimizer_of_torch_are_bounded(
    option: str, nmt: Any, in_trained: Path
) -> None:
    optimizer = f"training.optimizer={{name: torch.optim:NAdam, learning_rate: 1e-3, {option}}}"
    nmt("check", "tiny.yaml", optimizer, "--plugin", "torch.optim").assert_refused(
        "must be at most 1,000,000,000, not"
    )


def test_the_largest_numbers_that_are_allowed_are_scored(nmt: Any, in_trained: Path) -> None:
    metrics = (
        "{name: chrf, char_order: 20, word_order: 20, beta: 1000},"
        "{name: bleu, smooth_method: floor, smooth_value: 1000}"
    )
    outcome = nmt("evaluate", "runs/tiny", "--metrics", metrics)
    assert outcome.code == 0, outcome.err
    assert "inf" not in outcome.out and "nan" not in outcome.out


@pytest.mark.parametrize(
    "option",
    [
        "model.encoder.num_layers=20000",
        "model.decoder.num_layers=1000000000",
        "model.encoder.hidden_size=1000000000",
        "model.embedding.size=1000000000",
        "model.attention.num_heads=1000000000",
        "model.attention.score={name: location, max_positions: 1000000000}",
        "model.encoder={name: grid, channels: 1, max_rows: 1000000000}",
        "tokenizer.vocabulary_size=1000000000000",
        "data.train.weight=1e308",
        "data.num_processes=1000000000",
        "data.encoding_processes=1000000000",
        "training.num_threads=1000000000",
        "training.validation.metrics={name: bleu, max_ngram_order: 1000000000}",
        "training.validation.metrics={name: chrf, char_order: 1000000000}",
        "training.validation.metrics={name: chrf, word_order: 1000000000}",
        "training.validation.beam_size=1000000000",
        "training.optimizer.learning_rate=1e308",
        "decoding.beam_size=1000000000",
        "decoding.min_length=1000000",
        "decoding.max_length=1000000000",
        "decoding.max_source_length=1000000000",
        "decoding={search: sampling, n_best: 1000000000}",
        "decoding.search={name: sampling, temperature: 1e-300}",
        "decoding.length_penalty={name: gnmt, alpha: 1e308}",
        "device=cuda:99999999999999999999",
    ],
)
def test_check_and_train_refuse_extreme_values(option: str, nmt: Any, in_copy: Path) -> None:
    for command in ("check", "train"):
        begun = time.process_time()
        nmt(command, "tiny.yaml", "run=runs/new", option).assert_refused(option.partition("=")[0])
        assert time.process_time() - begun < MOST_SECONDS
    assert not Path("runs/new").exists()


@pytest.mark.parametrize("option", ["beam_size=1000000000", "min_length=1000000", "n_best=10001"])
def test_translate_refuses_them(option: str, nmt: Any, in_trained: Path) -> None:
    outcome = nmt("translate", "runs/tiny", "test.en", "--set", option)
    outcome.assert_refused(f"--set {option}: must be at most")
    nmt("translate", "runs/tiny", "test.en", "--workers", "1000000000").assert_refused("--workers")


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_model_larger_than_memory_is_refused_before_it_is_built(
    command: str, nmt: Any, in_copy: Path
) -> None:
    nmt("check", "tiny.yaml")  # imports what is needed
    size = "model={encoder: {hidden_size: 100000}, decoder: {hidden_size: 100000}}"
    cpu = torch.device("cpu")
    before, begun = reset_peak_memory(cpu), time.process_time()
    outcome = nmt(command, "tiny.yaml", "run=runs/new", size)
    assert outcome.code == 2
    assert "parameters need at least" in outcome.err.splitlines()[-1]
    assert "lower the hidden_size or num_layers" in outcome.err.splitlines()[-1]
    assert time.process_time() - begun < MOST_SECONDS
    assert peak_memory(cpu) - before < MOST_BYTES
    assert not Path("runs/new").exists()


def is_harmless(code: int, err: str, seconds: float, num_bytes: int) -> bool:
    return (
        code in (0, 2)
        and "Traceback" not in err
        and seconds < MOST_SECONDS
        and num_bytes < MOST_BYTES
    )


@pytest.mark.slow
def test_loadable_files_are_harmless(nmt: Any, in_copy: Path) -> None:
    short = [
        "training.max_updates=3",
        "training.max_epochs=2",
        "training.validation={metrics: [], best: loss}",
        "training.early_stopping=null",
    ]
    translate = ("translate", "runs/tiny", "test.en")
    train = ("train", "tiny.yaml", "run=runs/new", "--overwrite")
    nmt("lexicon", "runs/tiny")
    cpu = torch.device("cpu")
    usual = {"translate": math.inf, "train": math.inf}
    harmful = []
    for number, given in enumerate([["decoding.beam_size=5"], ["seed=1"], *accepted()]):
        is_decoding = given[-1].startswith("decoding.")
        if is_decoding:
            words = [*translate, *(part for item in given for part in ("--set", item[9:]))]
        else:
            key = given[-1].partition("=")[0]
            words = [*train, *(option for option in short if key not in option), *given]
            if key.startswith(("training.validation", "training.early_stopping")):
                words = [*train, "training.max_updates=3", *given]
        before, begun = reset_peak_memory(cpu), time.process_time()
        outcome = nmt(*words)
        seconds, size = time.process_time() - begun, peak_memory(cpu) - before
        if number < 2:
            usual[words[0]] = seconds
        elif not is_harmless(outcome.code, outcome.err, seconds - usual[words[0]], size):
            harmful.append((given, outcome.code, seconds, size, outcome.err[-300:]))
    assert harmful == []

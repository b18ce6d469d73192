import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmt.config.experiment import Config
from nmt.core.errors import ConfigError, RunError
from nmt.runs.run import RunDirectory
from nmt.training.resume_checks import data_identity, require_same, require_same_data


def config(**changes: Any) -> Config:
    data = {split: {"source": "a", "target": "b"} for split in ("train", "valid", "test")}
    tree: dict[str, Any] = {"run": "runs/x", "data": data, "training": {}}
    for path, value in changes.items():
        *groups, key = path.split("__")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[key] = value
    return Config.model_validate(tree)


def test_unchanged_configuration_is_accepted() -> None:
    assert require_same(config(), config()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"run": "elsewhere"},
        {"device": "cpu"},
        {"data__test": None},
        {"data__test__source": "c"},
        {"data__cache": "cache"},
        {"data__encoding_processes": 2},
        {"data__source_language": "pt-BR"},
        {"data__target_language": "de"},
        {"training__max_epochs": 1000},
        {"training__max_updates": 1000},
        {"training__max_bad_updates": 1000},
        {"training__early_stopping": {"patience": 1000}},
        {"training__validation": {"num_samples": 0}},
        {"training__checkpoints": {"every": 7, "keep_last": 7, "average_last": 7}},
        {"training__log_every": 7},
        {"training__tensorboard": True},
        {"training__num_threads": 7},
        {"decoding": {"beam_size": 7, "n_best": 2, "length_penalty": "none"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_options_without_effect_on_updates_may_change_and_are_logged(
    change: dict[str, Any],
) -> None:
    changed = require_same(config(), config(**change))
    assert changed and all(" -> " in told for told in changed)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 2}, r"seed \(1 -> 2\)"),
        ({"start_from": "base"}, r"start_from \(null -> 'base'\)"),
        ({"training__r_drop": 1.0}, r"training\.r_drop \(0\.0 -> 1\.0\)"),
        ({"precision": "float32"}, r"precision \('auto' -> 'float32'\)"),
        ({"training__label_smoothing": 0.0}, r"training\.label_smoothing \(0\.1 -> 0\.0\)"),
        ({"training__optimizer": "sgd"}, r"training\.optimizer\.name \('adam' -> 'sgd'\)"),
        (
            {"training__early_stopping": None},
            r"training\.early_stopping \(\{'metric': .*\} -> null",
        ),
        ({"training__ema_decay": 0.9}, r"training\.ema_decay \(null -> 0\.9\)"),
        ({"model": {"bridge": "mean"}}, r"model\.bridge\.name \('final' -> 'mean'\)"),
        ({"data__train__source": "c"}, r"data\.train\[0\]\.source \('a' -> 'c'\)"),
        ({"data__train__weight": 2.0}, r"data\.train\[0\]\.weight \(1\.0 -> 2\.0\)"),
        ({"tokenizer": {"lowercase": True}}, r"tokenizer\.lowercase \(false -> true\)"),
    ],
    ids=lambda value: next(iter(value)) if type(value) is dict else "",
)
def test_options_of_another_experiment_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=rf"--resume: .* other options: {named}"):
        require_same(config(), config(**change))


# Every group that may be null is there, so that its options are walked over.
ALL_GROUPS = {
    "training__scheduled_sampling": {},
    "training__guided_attention": {},
    "decoding__shortlist": {},
    "data__train": {"source": "a", "target": "b", "alignments": "c"},
}
# All but `decoding`, which changes no update.
MAY_CHANGE = {
    "run",
    "device",
    "data.test.source",
    "data.test.target",
    "data.test.tsv",
    "data.test.grids",
    "data.test.alignments",
    "data.test.alignment_units",
    "data.test.weight",
    "data.cache",
    "data.encoding_processes",
    "data.num_processes",
    "training.max_epochs",
    "training.max_updates",
    "training.max_bad_updates",
    "training.early_stopping.patience",
    "training.validation.num_samples",
    "training.checkpoints.every",
    "training.checkpoints.keep_last",
    "training.checkpoints.average_last",
    "training.ranks.gradients",
    "training.ranks.shard_optimizer",
    "training.log_every",
    "training.tensorboard",
    "training.num_threads",
}


def leaves(tree: dict[str, Any], key: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each option's key, with the group that it is in and its name there."""
    for name, value in list(tree.items()):
        inside = f"{key}.{name}" if key else name
        if isinstance(value, dict):
            yield from leaves(value, inside)
        elif inside == "data.train":
            for number, corpus in enumerate(value):
                yield from leaves(corpus, f"{inside}[{number}]")
        else:
            yield inside, tree, name


def test_only_listed_options_may_change() -> None:
    """An option that is added, or taken off the list of those that may change, is noticed."""
    before = config(**ALL_GROUPS)
    tree = before.model_dump(mode="json")
    now: Any = SimpleNamespace(model_dump=lambda mode: tree)
    assert {"training.accumulate", "training.batch_tokens", "data.train[0].weight"} <= {
        key for key, _, _ in leaves(tree)
    }
    allowed = set()
    for key, group, name in leaves(tree):
        value = group[name]
        group[name] = "another"
        try:
            changes = require_same(before, now)
        except ConfigError as error:
            told = str(error)
        else:
            told = f"other options: {changes[0]}"
            allowed.add(key)
        assert f"other options: {key} (" in told
        group[name] = value
    assert {key for key in allowed if not key.startswith("decoding.")} == MAY_CHANGE
    assert {key for key, _, _ in leaves(tree) if key.startswith("decoding.")} <= allowed


def test_differences_are_named_with_a_remedy() -> None:
    other = config(seed=2, training__clip_norm=None, training__log_every=7, run="runs/y")
    message = (
        "--resume: the run was started with other options: seed (1 -> 2), training.clip_norm "
        "(1.0 -> null); restore them, or start another run (run=PATH) from its weights "
        "(start_from=runs/x)"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        require_same(config(), other)


def test_other_text_or_tokenizers_are_refused() -> None:
    run = RunDirectory(Path("runs/x"))
    before = {"tokenizers": ["s", "t"], "corpora": ["text"]}
    require_same_data(config(), run, before, dict(before))
    with pytest.raises(RunError, match="runs/x: its tokenizers have changed since it was started"):
        require_same_data(config(), run, before, {**before, "tokenizers": ["s", "other"]})
    with pytest.raises(RunError, match="the text has changed since the run was started"):
        require_same_data(config(), run, before, {**before, "corpora": ["other"]})


def test_another_validation_set_is_refused() -> None:
    run = RunDirectory(Path("runs/x"))
    before = {"tokenizers": ["s", "t"], "corpora": ["text"], "valid": ["source", "target"]}
    require_same_data(config(), run, before, dict(before))
    message = (
        "a and b: the validation set has changed since the run was started; restore it, "
        "or start another run with run=PATH"
    )
    with pytest.raises(RunError, match=f"^{message}$"):
        require_same_data(config(), run, before, {**before, "valid": ["source", "other"]})


def test_checkpoint_without_a_validation_set_is_accepted() -> None:
    before = {"tokenizers": ["s", "t"], "corpora": ["text"]}
    now = {**before, "valid": ["source", "target"]}
    require_same_data(config(), RunDirectory(Path("runs/x")), before, now)


def test_other_options_of_the_search_of_validation_are_refused() -> None:
    run, text = RunDirectory(Path("runs/x")), {"tokenizers": ["s", "t"], "corpora": ["text"]}
    before = {**text, "decoding": {"beam_size": 1, "replace_unknown": False}}
    require_same_data(config(), run, before, dict(before))
    require_same_data(config(), run, text, before)  # a checkpoint of a former version
    later = {**text, "decoding": {**before["decoding"], "an_option_of_a_later_version": None}}
    require_same_data(config(), run, before, later)
    message = (
        "--resume: validation would use other decoding options than before: "
        "decoding.replace_unknown (false -> true); restore them, so that scores stay comparable, "
        "or start another run with start_from"
    )
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        require_same_data(
            config(), run, before, {**text, "decoding": {"beam_size": 1, "replace_unknown": True}}
        )


def test_search_of_validation_is_saved_if_it_scores_translations(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("a\n")
    reader = SimpleNamespace(fingerprint=lambda: "t")
    tokenizers: Any = SimpleNamespace(source=reader, target=reader)
    loader: Any = SimpleNamespace(corpora=[SimpleNamespace(key="text")])
    valid = {"data__valid": {"source": str(file), "target": str(file)}}
    of_the_loss = {
        "training__early_stopping": None,
        "training__validation": {"metrics": [], "best": "loss"},
    }

    def remembered(**changes: Any) -> Any:
        return data_identity(config(**changes), tokenizers, loader)["decoding"]

    found = remembered(**valid)
    assert found["beam_size"] == 1 and "batch_tokens" not in found
    assert remembered(**valid, **of_the_loss) == {}
    assert remembered(**of_the_loss, data__valid=None) == {}

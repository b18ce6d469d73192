from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.config_checks import (
    ConfigArguments,
    corpus_problems,
    load_checked,
    naming_origin,
    require_another_run,
    require_schedule,
)
from nmt.cli.held_out import HeldOutArguments
from nmt.config.experiment import Config
from nmt.core.errors import ConfigError, DataError

PLAIN = "(relative paths start from the working directory {folder})"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").touch()


def config(**data: Any) -> Config:
    there = {"source": "a", "target": "a"}
    given = {"train": there, "valid": there, **data}
    return Config.model_validate({"run": "runs/x", "data": given})


def problems(made: Config, path: str = "x.yaml") -> list[str]:
    return [
        f"{file}: {problem}"
        for key, corpus in made.data.corpora()
        for file, problem in corpus_problems(key, corpus, Path(path))
    ]


def message(made: Config, path: str = "x.yaml") -> str:
    (found,) = problems(made, path)
    return found


def test_existing_files_are_not_reported() -> None:
    made = config()
    assert problems(made) == []
    given = HeldOutArguments(run="runs/x", source=None)
    assert given.find_corpus(made, "valid") == made.data.valid


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"train": {"source": "b", "target": "a"}}, "data.train.source"),
        ({"train": {"tsv": "b"}}, "data.train.tsv"),
        ({"train": {"tsv": "a", "alignments": "b"}}, "data.train.alignments"),
        ({"train": [{"tsv": "a"}, {"tsv": "b"}]}, "data.train[1].tsv"),
        ({"valid": {"source": "a", "target": "b"}}, "data.valid.target"),
        ({"test": {"source": "a", "target": "b"}}, "data.test.target"),
    ],
)
def test_missing_file_is_named_with_its_key(data: dict[str, Any], key: str, tmp_path: Path) -> None:
    assert message(config(**data)) == f"{key}: b: no such file {PLAIN.format(folder=tmp_path)}"


def test_file_next_to_the_configuration_is_suggested(tmp_path: Path) -> None:
    Path("my").mkdir()
    Path("my/b").touch()
    assert message(config(train={"tsv": "b"}), "my/x.yaml") == (
        "data.train.tsv: b: no such file (relative paths start from the working directory "
        f"{tmp_path}; found next to my/x.yaml: write my/b, or run nmt there)"
    )


def test_absolute_path_needs_no_hint() -> None:
    assert message(config(train={"tsv": "/no/b"})) == "data.train.tsv: /no/b: no such file"


def test_the_test_set_of_a_run_may_be_another_one() -> None:
    with pytest.raises(
        DataError, match=r"^runs/x: cannot read its test set: data\.test\.target: b: .* give"
    ):
        HeldOutArguments(run="runs/x", source=None).find_corpus(
            config(test={"source": "a", "target": "b"}), "test"
        )


def test_unreadable_path_is_not_reported_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError

    made = config()
    monkeypatch.setattr(Path, "stat", refuse)
    assert problems(made) == []


@pytest.mark.parametrize("base", ["locked/x", "locked/../locked/x", "link/x", "absolute"])
def test_a_run_does_not_start_from_itself(base: str, forbid: Callable[[Path], None]) -> None:
    Path("locked").mkdir()
    Path("link").symlink_to("locked")
    forbid(Path("locked"))
    base = base.replace("absolute", str(Path("locked/x").absolute()))
    made = config().model_copy(update={"run": "locked/x", "start_from": base})
    with pytest.raises(ConfigError) as caught:
        require_another_run(made)
    assert str(caught.value) == f"start_from: {base}: is the new run itself; give another run=PATH"


@pytest.mark.parametrize("base", [None, "locked/x", "runs", "runs/y", "circle"])
def test_a_run_may_start_from_another(base: str | None, forbid: Callable[[Path], None]) -> None:
    Path("locked").mkdir()
    Path("circle").symlink_to("circle")
    forbid(Path("locked"))
    require_another_run(config().model_copy(update={"start_from": base}))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("device: cuda", "device: 'cuda' not found on this machine; available: cpu"),
        (
            "precision: bfloat16",
            "precision: 'bfloat16' is not supported on this cpu; use float32 or auto",
        ),
    ],
)
def test_missing_device_is_refused(
    option: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("nmt.system.device.has_bfloat16", lambda device: False)
    Path("base.yaml").write_text(f"{option}\n")
    Path("x.yaml").write_text(
        "extends: base.yaml\nrun: r\ndata: {train: {tsv: gone}, valid: {tsv: gone}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_checked(ConfigArguments(config=Path("x.yaml"), overrides=[]))
    assert str(caught.value) == f"base.yaml: {message}"
    override = f"{option.partition(':')[0]}=auto"
    with pytest.raises(DataError, match=r"^data\.train\.tsv: gone: no such file"):
        load_checked(ConfigArguments(config=Path("x.yaml"), overrides=[override]))


def scheduled(schedule: dict[str, Any], **limits: int | None) -> Config:
    corpus = {"source": "a", "target": "a"}
    training = {"schedule": schedule, **limits}
    return Config.model_validate(
        {"run": "runs/x", "data": {"train": corpus, "valid": corpus}, "training": training}
    )


@pytest.mark.parametrize(
    ("schedule", "limits", "reason"),
    [
        (
            {"name": "cosine", "warmup": 40},
            {"max_updates": 40},
            "schedule.warmup: must be less than the 40 updates of the schedule, not 40; "
            "set it to 4, a tenth of them",
        ),
        (
            {"name": "cosine", "warmup": 40, "num_updates": 30},
            {},
            "schedule.warmup: must be less than the 30 updates of the schedule, not 40; "
            "set it to 3, a tenth of them",
        ),
        (
            {"name": "cosine"},
            {"max_epochs": None},
            "schedule.num_updates: missing, and training has no limit; set",
        ),
        (
            {"name": "constant", "warmup": 20, "cooldown": 30},
            {"max_updates": 40},
            "schedule.cooldown: 30 and warmup 20 exceed the 40 updates of training; lower",
        ),
        (
            {"name": "constant", "cooldown": 30},
            {"max_epochs": None},
            "schedule.cooldown: needs the end of training; set",
        ),
    ],
)
def test_schedule_longer_than_the_training_is_refused(
    schedule: dict[str, Any], limits: dict[str, int | None], reason: str
) -> None:
    with pytest.raises(ConfigError, match=f"^training.{reason}"):
        require_schedule(scheduled(schedule, **limits))


@pytest.mark.parametrize(
    ("schedule", "limits"),
    [
        ({"name": "cosine", "warmup": 39}, {"max_updates": 40}),
        ({"name": "constant", "warmup": 20, "cooldown": 20}, {"max_updates": 40}),
        ({"name": "constant", "warmup": 40}, {"max_updates": 40}),
        ({"name": "cosine", "warmup": 10**6}, {"max_epochs": 1}),
        ({"name": "constant", "cooldown": 10**6}, {"max_epochs": 1}),
    ],
    ids=str,
)
def test_schedule_that_may_fit_is_accepted(
    schedule: dict[str, Any], limits: dict[str, int]
) -> None:
    require_schedule(scheduled(schedule, **limits))


def test_an_inherited_option_is_refused_with_its_file(tmp_path: Path) -> None:
    base, path = tmp_path / "base.yaml", tmp_path / "x.yaml"
    base.write_text("run: r\ndata: {train: {source: a, target: b}}\n")
    path.write_text("extends: base.yaml\ndevice: cpu\n")
    arguments = ConfigArguments(config=path, overrides=["seed=3"])
    for key, origin in (("data.train.source", f"{base}: "), ("device", ""), ("seed", "")):
        with pytest.raises(DataError) as caught, naming_origin(arguments, key):
            raise DataError("is wrong")
        assert str(caught.value) == f"{origin}is wrong"

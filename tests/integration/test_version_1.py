"""A run that nmt wrote before version 2 of its configuration, and what it did with it then.

`version_1/runs/dot` was asked for `dot` over states of 6 and 8 numbers, 60 updates of it. Its
translations and the losses of going on are those of that nmt (commit 92eef86).
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from nmt.config.file import load_config
from tests.integration.conftest import Command

TRANSLATIONS = [(". .", -4.753817), (". .", -5.159721), ("eins .", -5.034941), (". . .", -6.157367)]
LOSSES = {80: 1.5769405361068876, 100: 1.5648453155238378}
LAST = "checkpoints/last/model.safetensors"
TO_100 = ("training.max_updates=100",)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Path]:
    """The working directory has the run, its corpus and its tiny.yaml."""
    folder = tmp_path / "old"
    shutil.copytree(Path(__file__).with_name("version_1"), folder)
    with contextlib.chdir(folder):
        yield Path("runs/dot")


def test_it_translates_as_it_did(nmt: Command, old: Path) -> None:
    outcome = nmt("translate", old, "test.en", "--beam-size", "3", "--json")
    assert outcome.code == 0, outcome.err
    found = [json.loads(line) for line in outcome.lines]
    assert [line["translation"] for line in found] == [text for text, _ in TRANSLATIONS]
    assert [line["log_probability"] for line in found] == pytest.approx(
        [value for _, value in TRANSLATIONS], abs=2e-5
    )


def test_it_resumes_under_the_name_that_it_was_started_with(nmt: Command, old: Path) -> None:
    outcome = nmt("train", "tiny.yaml", "--resume", *TO_100)
    assert outcome.code == 0, outcome.err
    facts = map(json.loads, (old / "metrics.jsonl").read_text().splitlines())
    losses = {fact["update"]: fact["loss"] for fact in facts if fact["kind"] == "validation"}
    assert {update: losses[update] for update in LOSSES} == pytest.approx(LOSSES, rel=1e-5)
    config = load_config(old / "config.yaml")
    assert config.model.attention is not None and config.model.attention.score.name == "general"


def test_general_resumes_it_with_the_same_numbers(nmt: Command, old: Path) -> None:
    shutil.copytree(old, "runs/general")
    assert nmt("train", "tiny.yaml", "--resume", *TO_100).code == 0
    options = ("run=runs/general", "model.attention.score=general")
    assert nmt("train", "tiny.yaml", "--resume", *TO_100, *options).code == 0
    assert load_file(old / LAST).keys() == load_file(Path("runs/general") / LAST).keys()
    assert (old / LAST).read_bytes() == (Path("runs/general") / LAST).read_bytes()


def test_its_configuration_and_its_weights_start_others_as_general(nmt: Command, old: Path) -> None:
    Path("more.yaml").write_text("extends: runs/dot/config.yaml\nstart_from: runs/dot\nrun: more\n")
    assert nmt("train", "more.yaml", "training.max_updates=1").code == 0
    assert "name: general" in Path("more/config.yaml").read_text()
    other = nmt("check", "more.yaml", "model.attention.score=scaled_dot")
    other.assert_refused("override 'model.attention.score=scaled_dot'", "not 6 and 8")


def test_a_new_run_of_this_name_is_refused(nmt: Command, old: Path) -> None:
    for command in (("train", "tiny.yaml", "run=runs/new"), ("check", "tiny.yaml")):
        nmt(*command).assert_refused(
            "tiny.yaml: model.attention.score: 'dot' needs decoder and encoder states of equal "
            "size, not 6 and 8; set model.decoder.hidden_size: 8, or model.attention.score: general"
        )
    assert nmt("check", "tiny.yaml", "model.decoder.hidden_size=8").code == 0

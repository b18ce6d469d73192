from pathlib import Path

import pytest

from nmt.config.decoding import DecodingConfig
from nmt.config.experiment import Config
from nmt.core.errors import ConfigError
from nmt.runs.directory import RunDirectory
from nmt.runs.run import Run

CORPUS = {"source": "a", "target": "b"}
CONFIG = Config.model_validate(
    {"run": "x", "data": {"train": CORPUS, "valid": CORPUS}, "decoding": {"beam_size": 3}}
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(RunDirectory(tmp_path), CONFIG)


def test_an_open_run_is_used_as_it_is(run: Run) -> None:
    assert Run.of(run, None) is run


@pytest.mark.parametrize("decoding", [{"beam_size": 5}, DecodingConfig(beam_size=5)])
def test_an_open_run_takes_no_options(run: Run, decoding: DecodingConfig) -> None:
    with pytest.raises(ConfigError, match=r"decoding: the run is open already; .* to Run\.open"):
        Run.of(run, decoding)


def test_options_of_decoding_are_replaced(run: Run) -> None:
    changed = run.with_decoding(DecodingConfig(beam_size=7))
    assert (changed.config.decoding.beam_size, run.config.decoding.beam_size) == (7, 3)
    assert changed.folder == run.folder

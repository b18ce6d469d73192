import logging
from pathlib import Path

import pytest
import torch

from nmt.config import Config
from nmt.config_file import dump_config
from nmt.run import RunDirectory
from nmt.training import probing
from nmt.training.material import gather, settle, settle_as_before
from nmt.training.probing import fitting_tokens

CPU = torch.device("cpu")
MEGABYTE = 2**20


def test_memory_that_grows_with_the_tokens_is_divided_by_what_one_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """90 MB, and 60 kB for each token, of a gigabyte; 500 MB are in use already."""
    in_use = [500 * MEGABYTE]
    monkeypatch.setattr(probing, "free_memory", lambda device: 1024 * MEGABYTE)
    monkeypatch.setattr(probing, "start_peak", lambda device: 500 * MEGABYTE)
    monkeypatch.setattr(probing, "peak", lambda device: in_use[-1])

    def update(num_tokens: int) -> None:
        in_use.append((500 + 90) * MEGABYTE + num_tokens * 60_000)

    expected = int((0.8 * 1024 - 90) * MEGABYTE / 60_000)
    assert fitting_tokens(update, CPU) == expected
    assert len(in_use) == 3


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
    return gather(config, RunDirectory(Path(config.run))).batch_tokens


def test_a_hundredth_of_an_epoch_is_as_much_as_is_useful(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert gathered(config) == 300  # 6,000 times 4 tokens and EOS
    assert "training.batch_tokens: auto: 300 (" in caplog.text
    training = config.training.model_copy(update={"accumulate": 2})
    assert gathered(config.model_copy(update={"training": training})) == 150


def test_no_more_than_fits(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "fitting_tokens", lambda update, device: 120)
    assert gathered(config) == 120


def test_first_weights_do_not_depend_on_it(config: Config) -> None:
    torch.manual_seed(1)
    gathered(config)
    drawn = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(3))


def test_what_was_found_stands_for_auto_when_the_run_goes_on(config: Config) -> None:
    run = RunDirectory(Path(config.run))
    assert settle_as_before(config, run) == config
    settled = settle(config, 77)
    assert settled.training.batch_tokens == 77
    run.path.mkdir()
    run.write_config(dump_config(settled))
    assert settle_as_before(config, run) == settled
    fixed = settle(config, 88)
    assert settle_as_before(fixed, run) == fixed

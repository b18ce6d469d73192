import io
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt.core.errors import UserError
from nmt.runs.run import RunDirectory
from nmt.training.logs import reporter as module
from nmt.training.logs.reporter import Reporter, log_to_file

VALUES = {
    "epoch": 1,
    "loss": 2.5,
    "learning_rate": 0.001,
    "gradient_norm": 0.5,
    "tokens_per_second": 1234.0,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make(folder: Path, **options: Any) -> Reporter:
    defaults: dict[str, Any] = {"metrics_end": 0, "total_updates": 4, "first_update": 0}
    return Reporter(RunDirectory(folder), **{**defaults, **options})


def test_on_a_terminal_a_bar_shows_loss_speed_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with make(tmp_path).opened() as reporter:
        reporter.training(1, VALUES)
        reporter.bar.mininterval = 0.0
        reporter.bar.update()
    shown = terminal.getvalue()
    assert "loss 2.500, 1,234 tokens/s" in shown
    assert "1/4 [00:00<00:0" in shown


def test_no_progress_bar_without_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    caplog.set_level(logging.INFO, "nmt")
    with make(tmp_path).opened() as reporter:
        reporter.training(50, VALUES)
        reporter.bar.update()
    assert stderr.getvalue() == ""
    assert caplog.messages == [
        "update 50 (epoch 1): loss 2.5000, 1,234 tokens/s, learning rate 0.001, gradient 0.5"
    ]


def test_the_log_has_the_time_and_ends_with_the_with(tmp_path: Path) -> None:
    logger = logging.getLogger("nmt.test")
    logger.setLevel(logging.INFO)
    for text in ("one", "two"):
        with log_to_file(tmp_path / "train.log"):
            logger.info(text)
        logger.info("outside")
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["one", "two"]


def test_curves_are_drawn_at_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr(module, "plot_learning_curves", lambda panels, path: drawn.append(path))
    with make(tmp_path).opened() as reporter:
        reporter.draw_curves(1000.0)
        reporter.draw_curves(1000.0)
        assert len(drawn) == 1
        reporter.draw_curves()
    assert drawn == [tmp_path / "plots/learning_curves.png"] * 2


def test_missing_matplotlib_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with make(tmp_path).opened() as reporter:
        reporter.draw_curves()
        reporter.draw_curves()
    (message,) = caplog.messages
    assert message.startswith("no learning curves: plots: matplotlib is not installed; install")


def test_tensorboard_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(
        UserError, match=r"training\.tensorboard: tensorboard is not .* extra `tensorboard`"
    ):
        make(tmp_path, has_tensorboard=True)


def test_nothing_is_truncated_before_the_log_is_entered(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("of the run\n")
    reporter = make(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_text() == "of the run\n"
    with reporter.opened():
        assert reporter.metrics.end == 0


def test_full_disk_gives_no_traceback_of_logging(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(OSError, match="No space left"), log_to_file(Path("/dev/full")):
        logging.getLogger("nmt.test").warning("one")
    assert "Traceback" not in capsys.readouterr().err


def test_tensorboard_gets_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, int]] = []

    class Writer:
        def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
            written.append((tag, scalar_value, global_step))

        def close(self) -> None:
            written.append(("closed", 0.0, 0))

    def make_writer(folder: str, purge_step: int) -> Writer:
        assert (folder, purge_step) == (str(tmp_path / "tensorboard"), 1)
        return Writer()

    monkeypatch.setattr(module, "_tensorboard_writer", lambda: make_writer)
    with make(tmp_path, has_tensorboard=True).opened() as reporter:
        reporter.training(10, VALUES)
        reporter.validation(10, {"loss": 3.0}, {"bleu": 7.0})
    assert ("train/loss", 2.5, 10) in written
    assert written[-3:] == [
        ("validation/loss", 3.0, 10),
        ("validation/bleu", 7.0, 10),
        ("closed", 0.0, 0),
    ]


def test_silent_reporter_prints_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(module, "_tensorboard_writer", lambda: pytest.fail)
    caplog.set_level(logging.DEBUG, "nmt")
    with make(tmp_path, has_tensorboard=True, is_silent=True).opened() as reporter:
        reporter.bar.update()
        reporter.training(1, VALUES)
        reporter.validation(1, {"loss": 3.0}, {"bleu": 7.0})
        reporter.draw_curves()
    assert terminal.getvalue() == ""
    assert caplog.messages == [] and not list(tmp_path.iterdir())

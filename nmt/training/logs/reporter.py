"""Output of a training: progress bar, log, metrics, TensorBoard, learning curves."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Self

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from nmt.core.errors import RunError, UserError
from nmt.runs.run import RunDirectory
from nmt.system.process import EscapingFormatter, OnceFilter
from nmt.training.logs.metrics_file import MetricsFile, read_curves
from nmt.visualization.plots import plot_learning_curves

logger = logging.getLogger(__name__)
_PACKAGE = logging.getLogger("nmt")


@dataclass(eq=False, repr=False)
class Reporter:
    """Reporter of training progress, on the terminal and in the files of a run.

    Files are neither written nor truncated before `opened` is entered.

    Args:
        run: the run whose files are written.
        metrics_end: bytes of the metrics file to keep; later lines are cut off.
        total_updates: maximum number of updates, for the remaining time; None: unknown.
        first_update: number of updates already made.
        has_tensorboard: whether to write TensorBoard files.
        is_silent: print and write nothing, as in all processes except the first.

    Attributes:
        bar: progress bar, to be advanced by each update; exists while the reporter is open.
        metrics: the metrics file; exists while the reporter is open.
    """

    run: RunDirectory
    _: KW_ONLY
    metrics_end: int
    total_updates: int | None
    first_update: int
    has_tensorboard: bool = False
    is_silent: bool = False
    bar: "tqdm[Any]" = field(init=False)
    metrics: MetricsFile = field(init=False)

    def __post_init__(self) -> None:
        self._make_writer = _tensorboard_writer() if self.has_tensorboard else None
        self._can_plot = not self.is_silent
        self._drawn_at = -math.inf
        self._writer: Any = None
        self._on_terminal = sys.stderr.isatty() and not self.is_silent

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Open the files of the run and the progress bar; close them at the end."""
        with ExitStack() as stack:
            if not self.is_silent:
                self.metrics = MetricsFile(self.run.metrics, self.metrics_end)
            self.bar = stack.enter_context(self._make_bar())
            if self._make_writer is not None and not self.is_silent:
                # Hide events written after the checkpoint; metrics.jsonl is truncated likewise.
                self._writer = self._make_writer(
                    str(self.run.tensorboard), purge_step=self.first_update + 1
                )
                stack.callback(self._writer.close)
            if self._on_terminal:
                stack.enter_context(logging_redirect_tqdm([_PACKAGE]))
            yield self

    def training(self, update: int, values: Mapping[str, float]) -> None:
        """Report the training metrics since the last report."""
        if self.is_silent:
            return
        self.metrics.append("train", {"update": update, **values})
        self._scalars("train", update, values)
        speed = f"{values['tokens_per_second']:,.0f} tokens/s"
        self.bar.set_postfix_str(f"loss {values['loss']:.3f}, {speed}", refresh=False)
        # The progress bar, if any, already shows this.
        logger.log(
            logging.DEBUG if self._on_terminal else logging.INFO,
            f"update {update:,} (epoch {values['epoch']:g}): loss {values['loss']:.4f}, {speed}, "
            f"learning rate {values['learning_rate']:.3g}, gradient {values['gradient_norm']:.3g}",
        )

    def validation(
        self, update: int, losses: Mapping[str, float], scores: Mapping[str, float]
    ) -> None:
        """Report the losses and the metric scores of a validation."""
        if self.is_silent:
            return
        self.metrics.append("validation", {"update": update, **losses, "scores": dict(scores)})
        self._scalars("validation", update, {**losses, **scores})

    def draw_curves(self, pause: float = 0.0) -> None:
        """Draw the learning curves; log a warning once if they cannot be drawn.

        Args:
            pause: minimum seconds since the last drawing, which takes one or two seconds.
        """
        now = time.monotonic()
        if not self._can_plot or now < self._drawn_at + pause:
            return
        self._drawn_at = now
        try:
            curves = read_curves(self.run.metrics)
            plot_learning_curves(curves, self.run.plots / "learning_curves.png")
        except UserError as error:
            self._can_plot = False
            logger.warning("no learning curves: %s", error)

    def _make_bar(self) -> "tqdm[Any]":
        return tqdm(
            total=self.total_updates,
            initial=self.first_update,
            unit=" updates",
            dynamic_ncols=True,
            disable=not self._on_terminal,
            file=sys.stderr,
        )

    def _scalars(self, group: str, update: int, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(f"{group}/{name}", value, update)


def _tensorboard_writer() -> Callable[..., Any]:
    """Return the class of TensorBoard writers.

    Raises:
        UserError: tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "training.tensorboard: tensorboard is not installed; install the extra `tensorboard`, "
            "or set it to false"
        ) from error
    return SummaryWriter


class _LogFile(logging.FileHandler):
    """A log file that raises write errors, where `logging` would print a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name of `logging`
        raise


@contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Append log messages of the package to a file, with timestamps, inside the `with`.

    Raises:
        RunError: the file is a named pipe, which would block until it has a reader.
    """
    if path.is_fifo():
        raise RunError(f"{path}: is not a regular file; move it away, then resume")
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(EscapingFormatter("%(asctime)s %(message)s"))
    handler.addFilter(OnceFilter())
    _PACKAGE.addHandler(handler)
    try:
        yield
    finally:
        _PACKAGE.removeHandler(handler)
        handler.close()

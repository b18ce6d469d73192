"""Checks of a configuration before the work: files, device, options without effect."""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.arguments import CommandArguments, positional
from nmt.core.errors import ConfigError, DataError, UserError
from nmt.data.formats.lines import require_regular
from nmt.system.files import is_missing

if TYPE_CHECKING:
    from nmt.config.data import CorpusConfig
    from nmt.config.experiment import Config
    from nmt.config.layers import Override

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ConfigArguments(CommandArguments):
    """A configuration file, and overrides of its options."""

    config: Path = positional("CONFIG", "a YAML file", type=Path)
    overrides: list[str] = positional(
        "key=value",
        "override an option of the file by its dotted key: model.attention.score=general",
        nargs="*",
        default=[],
    )


def load_checked(
    arguments: ConfigArguments, *, resume: bool = False, overwrite: bool = False
) -> "Config":
    """Load a configuration, and report early all errors that training would report later.

    Args:
        arguments: the file and the overrides.
        resume: whether an existing run may be resumed.
        overwrite: whether an existing run is to be deleted.

    Raises:
        UserError: an option is not valid; for an inherited option, the message names its file.
    """
    from nmt.config.file import load_config

    config = load_config(arguments.config, arguments.overrides, resume=resume)

    from nmt.build.metrics import build_metrics
    from nmt.config.layers import Override
    from nmt.system.device import resolve_device, resolve_precision

    for problem in find_ineffective(config, map(Override, arguments.overrides)):
        logger.warning("%s", problem)  # only a warning: a series of runs may share overrides
    if not resume:  # a resumed run may have replaced the run that it started from
        with naming_origin(arguments, "start_from"):
            require_another_run(config)
    if overwrite:
        require_inputs_elsewhere(arguments, config)
    with naming_origin(arguments, "training.schedule"):
        require_schedule(config)
    with naming_origin(arguments, "device"):
        device = resolve_device(config.device)
    with naming_origin(arguments, "precision"):
        resolve_precision(config.precision, device)
    build_metrics(config.training.validation.metrics)  # a metric may need a missing package
    for key, corpus in config.data.corpora():
        for option, problem in corpus_problems(key, corpus, arguments.config):
            with naming_origin(arguments, option):
                raise DataError(f"{option}: {problem}")
    return config


@contextmanager
def naming_origin(arguments: ConfigArguments, key: str) -> Iterator[None]:
    """Name the file of an inherited option in errors about it."""
    from nmt.config.file import inherited_from

    try:
        yield
    except UserError as error:
        origin = inherited_from(arguments.config, arguments.overrides, key)
        if origin is None:
            raise
        raise type(error)(f"{origin}: {error}") from error


def corpus_problems(
    key: str, corpus: "CorpusConfig", config: Path | None = None
) -> Iterator[tuple[str, str]]:
    """Find the files of a corpus that are missing or can be read only once.

    Args:
        key: dotted key of the corpus.
        corpus: the corpus; other errors are found when its files are read.
        config: the configuration file of the corpus, for a hint: files may be next to it.

    Yields:
        The dotted key of a file, and its problem.
    """
    for option, name in corpus.files().items():
        if is_missing(Path(name)):
            yield f"{key}.{option}", f"{name}: no such file{_hint(Path(name), config)}"
            continue
        try:
            require_regular(Path(name))
        except DataError as error:
            yield f"{key}.{option}", str(error)


def require_schedule(config: "Config") -> None:
    """Refuse a schedule that needs an end and has none, or that has too few updates.

    The updates of an epoch are not known yet, so `training.max_updates` is taken as the maximum.

    Raises:
        ConfigError: the error that the schedule would raise once the corpus is read.
    """
    from nmt.config.registry import SCHEDULES

    training = config.training
    most = training.max_updates
    if most is None and training.max_epochs is not None:
        most = sys.maxsize
    SCHEDULES.create(training.schedule, most)


def require_another_run(config: "Config") -> None:
    """Refuse to write a new run to the folder of the run whose weights it starts with.

    Raises:
        ConfigError: both are the same folder, even if it does not exist.
    """
    base = config.start_from
    # os.path never raises: a link may point to itself.
    if base is not None and os.path.realpath(base) == os.path.realpath(config.run):
        raise ConfigError(f"start_from: {base}: is the new run itself; give another run=PATH")


def require_inputs_elsewhere(arguments: ConfigArguments, config: "Config") -> None:
    """Refuse `--overwrite` if it would delete inputs of the new run.

    Raises:
        ConfigError: an input is in the folder of the run that is replaced.
    """
    from nmt.runs.run import RunDirectory

    for key, name in config.input_paths().items():
        if RunDirectory(Path(config.run)).would_delete(name):
            with naming_origin(arguments, key):
                raise ConfigError(
                    f"{key}: {name}: would be deleted with the run {config.run} by --overwrite; "
                    "move it elsewhere, or give another run=PATH"
                )


def _hint(name: Path, config: Path | None) -> str:
    """Return how a path was resolved, and the path that may have been meant."""
    if name.is_absolute():
        return ""
    hint = f"relative paths start from the working directory {Path.cwd()}"
    if config is not None and not is_missing(config.parent / name):
        found = config.parent / name
        hint += f"; found next to {config}: write {found}, or run nmt there"
    return f" ({hint})"


def find_reason(key: str, config: "Config") -> str | None:
    """Return why an option has no effect with the others; None: it has an effect."""
    decoding, tokenizer = config.decoding, config.tokenizer
    search = decoding.search.name
    match key:
        case "decoding.beam_size" if not decoding.has_beam:
            return f"{search} search has no beam"
        case "decoding.n_best" if decoding.n_best > 1:
            if not decoding.has_beam and not decoding.draws_samples:
                return f"{search} search finds one translation of each line"
        case "decoding.mbr_candidates" if decoding.mbr == "none":
            return "decoding.mbr is none"
        case "model.decoder.dropout" if config.model.decoder.num_layers == 1:
            return "it applies between layers, and model.decoder.num_layers is 1"
        case (
            "training.validation.every"
            | "training.validation.beam_size"
            | "training.validation.num_samples"
        ) if config.data.valid is None:
            return "there is no validation set (data.valid)"
        case "tokenizer.vocabulary_size" | "tokenizer.lowercase" | "tokenizer.normalization":
            path = tokenizer.source_path
            if path is not None and (tokenizer.shared or tokenizer.target_path):
                return f"the saved tokenizer {path} is used as it is"
    return None


def find_ineffective(config: "Config", overrides: "Iterable[Override]") -> Iterator[str]:
    """Find options of the command line without effect.

    Args:
        config: the configuration, with the overrides applied.
        overrides: overrides of the command line.

    Yields:
        A message with the option, the reason, and what to do.
    """
    for override in overrides:
        reason = find_reason(override.key, config)
        if reason is not None:
            yield f"{override.argument or override.text}: has no effect, as {reason}; leave it out"

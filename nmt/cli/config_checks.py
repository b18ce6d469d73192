"""What can be refused of a configuration before the work: corpora, device, schedule."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from nmt.cli.inputs import given_corpus
from nmt.core.errors import ConfigError, DataError, UserError
from nmt.data.formats.raw_lines import MAX_LINE_BYTES, require_regular
from nmt.system.atomic_files import is_missing

if TYPE_CHECKING:
    from nmt.config.data import CorpusConfig
    from nmt.config.experiment import Config
    from nmt.data.formats.grids import Source

HeldOut: TypeAlias = Literal["valid", "test"]

_HELD_OUT: Final = {"valid": "validation set", "test": "test set"}


@contextmanager
def naming_origin(arguments: argparse.Namespace) -> Iterator[None]:
    """Name, in an error about an option that was inherited, the file that it comes from.

    Args:
        arguments: of a command that takes a configuration and overrides.
    """
    from nmt.config.file import inherited_from

    try:
        yield
    except UserError as error:
        origin = inherited_from(
            arguments.config, arguments.overrides, str(error).partition(": ")[0]
        )
        if origin is None:
            raise
        raise type(error)(f"{origin}: {error}") from error


def require_corpora(config: "Config", path: Path) -> None:
    """Refuse now each file that is missing or not a regular file, naming its key.

    Args:
        config: the experiment.
        path: the file that it was read from, for a hint: files may lie beside it.

    Raises:
        DataError: a file is missing, or can be read only once; what else is wrong with it is found
            when it is read.
    """
    for key, corpus in config.data.corpora():
        for message in (*_missing(key, corpus, path), *_irregular(key, corpus)):
            raise DataError(message)


def require_metrics(config: "Config") -> None:
    """Refuse now a metric of validation that needs an extra which is not installed.

    Raises:
        ConfigError: it does, and names the extra.
    """
    from nmt.build.metrics import build_metrics

    build_metrics(config.training.validation.metrics)


def require_device(config: "Config") -> None:
    """Refuse now a device or precision that this machine does not have.

    Raises:
        ConfigError: it does not have it.
    """
    if not config.device.startswith("cuda") and config.precision != "bfloat16":
        return  # what every machine has; to look would load torch, which takes seconds
    from nmt.system.device import resolve_device, resolve_precision

    resolve_precision(config.precision, resolve_device(config.device))


def require_schedule(config: "Config") -> None:
    """Refuse now a schedule that has no end where it needs one, or too few updates.

    How many make an epoch is not known yet, so that `training.max_updates` is the most.

    Raises:
        ConfigError: as the schedule itself would, once the corpus is read.
    """
    from nmt.config.base import SCHEDULES

    training = config.training
    most = training.max_updates
    if most is None and training.max_epochs is not None:
        most = sys.maxsize
    SCHEDULES.create(training.schedule, most)


def add_held_out_arguments(parser: argparse.ArgumentParser, key: HeldOut) -> None:
    """--source and --reference, which `held_out_corpus` reads."""
    parser.add_argument(
        "--source",
        metavar="FILE",
        help=f"source sentences (default: the run's {_HELD_OUT[key]})",
    )
    parser.add_argument(
        "--reference",
        metavar="FILE",
        action="append",
        default=[],
        help="their reference translations, line for line; give it several times where each line "
        "has several",
    )


def held_out_corpus(
    arguments: argparse.Namespace, config: "Config", key: HeldOut
) -> "CorpusConfig":
    """The corpus of --source and --reference; without them, that of a run.

    Raises:
        UserError: only one of the two is given, or is empty.
        ConfigError: none is given, and the run has none.
        DataError: the files of the run are not here: it may have come from another machine.
    """
    if (arguments.source is None) != (not arguments.reference):
        raise UserError("--source and --reference go together: give both, or none of them")
    if arguments.source is not None:
        named = [("source", arguments.source), *(("reference", it) for it in arguments.reference)]
        for argument, name in named:
            if not name:
                raise UserError(f"--{argument}: the name of the file is empty")
        return given_corpus(config, arguments.source, arguments.reference[0])
    corpus: CorpusConfig | None = getattr(config.data, key)
    name = _HELD_OUT[key]
    if corpus is None:
        raise ConfigError(
            f"{arguments.run}: its configuration names no {name} (data.{key}); "
            "give --source and --reference"
        )
    for message in _missing(f"data.{key}", corpus, None):
        raise DataError(
            f"{arguments.run}: the {name} of its configuration is not here: {message}; "
            "give --source and --reference"
        )
    for message in _irregular(f"data.{key}", corpus):
        raise DataError(f"{arguments.run}: the {name} of its configuration: {message}")
    return corpus


def read_held_out(
    corpus: "CorpusConfig", arguments: argparse.Namespace, max_line_bytes: int = MAX_LINE_BYTES
) -> "tuple[list[Source], list[list[str]]]":
    """Read what `held_out_corpus` returned: the sources, and each set of references.

    Raises:
        DataError: a file cannot be read, or has other lines than there are sources.
    """
    from nmt.build.data import build_corpus
    from nmt.data.formats.corpus import read_pairs
    from nmt.data.formats.lines import read_lines

    pairs = read_pairs(build_corpus(corpus, max_line_bytes))
    sources, references = map(list, zip(*pairs, strict=True))
    sets = [references]
    for name in arguments.reference[1:]:
        sets.append(list(read_lines(Path(name), max_line_bytes=max_line_bytes)))
        if len(sets[-1]) != len(sources):
            raise DataError(
                f"{name}: has {len(sets[-1]):,} lines, and there are {len(sources):,} sources; "
                "each set of references needs a line for each"
            )
    return sources, sets


def require_another_run(config: "Config") -> None:
    """Refuse to put a new run in the place of the one whose weights it starts with.

    Raises:
        ConfigError: both are one folder, whether it is there or not.
    """
    base = config.start_from
    # (os.path, for it never raises: a link may lead to itself.)
    if base is not None and os.path.realpath(base) == os.path.realpath(config.run):
        raise ConfigError(f"start_from: {base}: is the run itself; give run=PATH elsewhere")


def require_inputs_elsewhere(config: "Config") -> None:
    """Refuse to delete, with the run that `--overwrite` replaces, what the new one is made from.

    Raises:
        ConfigError: an input is among the contents of the run.
    """
    from nmt.runs.directory import RunDirectory

    for key, name in config.input_paths().items():
        if RunDirectory(Path(config.run)).would_delete(name):
            raise ConfigError(
                f"{key}: {name}: --overwrite would delete it with the run {config.run}; move it "
                "elsewhere, or give run=PATH"
            )


def _missing(key: str, corpus: "CorpusConfig", path: Path | None) -> Iterator[str]:
    """Yield a sentence for each file that is not found."""
    for option, name in corpus.files().items():
        if is_missing(Path(name)):
            yield f"{key}.{option}: {name}: no such file{_hint(Path(name), path)}"


def _irregular(key: str, corpus: "CorpusConfig") -> Iterator[str]:
    """Yield a sentence for each pipe or device; what cannot be looked at is left to the reader."""
    for option, name in corpus.files().items():
        try:
            require_regular(Path(name))
        except DataError as error:
            yield f"{key}.{option}: {error}"


def _hint(name: Path, path: Path | None) -> str:
    """What the name was taken to mean, and what it may have been meant to mean."""
    if name.is_absolute():
        return ""
    hint = f"paths are relative to the folder that nmt is run in: {Path.cwd()}"
    if path is not None and not is_missing(path.parent / name):
        hint += f"; there is one beside {path}: write {path.parent / name}, or run nmt there"
    return f" ({hint})"

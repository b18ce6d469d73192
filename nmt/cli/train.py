"""`nmt train`: everything that a configuration implies.

Train a model as one YAML file says: make the tokenizer where there is none, encode
the corpus, train, validate, keep the best, score the test set. Everything goes to the folder that
`run:` names. Ctrl-C finishes the update and saves; `--resume` goes on as if nothing had happened.
All options, with their defaults: configs/reference.yaml.

examples:
  nmt train configs/toy.yaml
  nmt train configs/toy.yaml run=runs/general model.attention.score=general seed=2
  nmt train configs/toy.yaml --resume
  torchrun --nproc-per-node 4 -m nmt train configs/toy.yaml
"""

import os
import shutil
import tempfile
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nmt.cli.arguments import flag
from nmt.cli.config_checks import ConfigArguments, load_checked
from nmt.core.errors import RunError, UserError, os_reason

if TYPE_CHECKING:
    from nmt.config.experiment import Config
    from nmt.distributed.process_group import ProcessGroup
    from nmt.runs.directory import RunDirectory
    from nmt.training.prepare_data import PreparedData

_PREPARING: Final = ".preparing-"


@dataclass(frozen=True, kw_only=True)
class Arguments(ConfigArguments):
    """Arguments of the command."""

    resume: bool = flag("go on with a run that was broken off")
    overwrite: bool = flag("delete the run that is there, and start from scratch")


def run(arguments: Arguments) -> int:
    """Train to the end, or until interrupted."""
    from nmt.training.disk_errors import explain_disk_errors

    if arguments.resume and arguments.overwrite:
        raise UserError("--overwrite cannot be combined with --resume; leave one of them out")
    config = load_checked(arguments, resume=arguments.resume, overwrite=arguments.overwrite)
    path = Path(config.run)

    from nmt.distributed.process_group import init_process_group
    from nmt.system.device import resolve_device
    from nmt.training.process_setup import set_up_process

    set_up_process(config.training.num_threads)
    with explain_disk_errors(path), init_process_group(resolve_device(config.device).type) as group:
        return _train(path, config, arguments, group)


def _train(path: Path, config: "Config", arguments: Arguments, group: "ProcessGroup") -> int:
    """Begin or go on, the first process before the others, and train to the end."""
    from nmt.training.rank_checks import require_same_config
    from nmt.training.trainer import train

    require_same_config(group, config)
    resume = group.broadcast(arguments.resume or (group.is_first and _was_begun(path)))
    data = None
    with ExitStack() as stack:
        with group.rank_zero_first():
            if group.is_first:
                folder = _open(path, resume, arguments.overwrite)
                stack.enter_context(folder.held())
                data = _begin(folder, config, resume, arguments.overwrite, group)
        if not group.is_first:
            folder = _open_beside_first(path)
        result = train(config, folder, resume, data, group, is_held=True)
    return 0 if result.signal is None else 128 + result.signal


def _was_begun(path: Path) -> bool:
    """Whether processes that this torchrun started before have begun the run that is there."""
    from nmt.runs.directory import RunDirectory
    from nmt.training.rank_checks import is_run_started

    return is_run_started(path) and os.path.lexists(RunDirectory(path).config)


def _open_beside_first(path: Path) -> "RunDirectory":
    """The run that the first process has begun, which this one must be able to read."""
    from nmt.runs.directory import RunDirectory

    try:
        return RunDirectory.create(path, resume=True)
    except RunError as error:
        raise RunError(
            f"{error} (that is where rank 0 has its run: all machines must share the folder)"
        ) from None


def _open(path: Path, resume: bool, overwrite: bool) -> "RunDirectory":
    """The folder of the run; what is in the way there is told before the work, not after it."""
    from nmt.runs.directory import RunDirectory

    folder = RunDirectory(path)
    if os.path.lexists(folder.config):  # where that may not be seen it is told below
        with folder.held():  # at once, as neither --resume nor --overwrite would help
            pass
    if overwrite and not resume and os.path.isdir(path):
        return folder
    return RunDirectory.create(path, resume=resume)


def _begin(
    folder: "RunDirectory", config: "Config", resume: bool, overwrite: bool, group: "ProcessGroup"
) -> "PreparedData | None":
    """Put all that is needed to train into a folder that is held; of a new run, the data."""
    for left in folder.path.glob(f"{_PREPARING}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    return None if resume else _fill(folder, config, overwrite, group)


def _fill(
    folder: "RunDirectory", config: "Config", overwrite: bool, group: "ProcessGroup"
) -> "PreparedData":
    """Give a new run its tokenizers and encoded corpora; where that fails, all is as it was.

    A run that is there goes when nothing is left that can be refused.
    """
    from nmt.runs.directory import RunDirectory

    try:
        with _workplace(folder.path) as name:
            prepared = RunDirectory(Path(name))
            data = _prepare(prepared, config, group)
            RunDirectory.create(folder.path, overwrite=overwrite)
            _move(prepared, folder, data)
    except BaseException:
        if not any(folder.path.iterdir()):
            folder.path.rmdir()
        raise
    return data


def _prepare(prepared: "RunDirectory", config: "Config", group: "ProcessGroup") -> "PreparedData":
    """Do all that can fail for what a person wrote, before anything of theirs is changed.

    Every part of the training is made once for that. What takes long to make is kept.
    """
    from nmt.build.data import build_corpus
    from nmt.config.file import dump_config
    from nmt.data.formats.corpus import read_pairs
    from nmt.data.shard import Shard
    from nmt.training.build_state import build_state
    from nmt.training.logs.reporter import log_to_file
    from nmt.training.prepare_data import prepare_data, resolve_auto

    for corpus in (config.data.valid, config.data.test):
        if corpus is not None:
            deque(read_pairs(build_corpus(corpus)), maxlen=0)
    with log_to_file(prepared.log):
        data = prepare_data(config, prepared, shard=Shard(group.rank, group.size))
        _require_readable(config, data)
        build_state(config, prepared, data, checkpoint=None)
    prepared.write_config(dump_config(resolve_auto(config, data)))
    return data


def _require_readable(config: "Config", data: "PreparedData") -> None:
    """Refuse now held-out sources that the model cannot read, as grids of other channels."""
    from nmt.build.data import build_corpus
    from nmt.data.formats.corpus import read_pairs

    for corpus in (config.data.valid, config.data.test):
        if corpus is not None:
            for source, _ in read_pairs(build_corpus(corpus)):
                data.tokenizers.source.encode(source)


def _move(prepared: "RunDirectory", folder: "RunDirectory", data: "PreparedData") -> None:
    from nmt.training.rank_checks import mark_run_started

    mark_run_started(folder.path)
    # The configuration first: with it the folder is a run, which can be resumed from anywhere here.
    others = (item for item in prepared.path.iterdir() if item != prepared.config)
    for item in (prepared.config, *others):
        shutil.move(item, folder.path / item.name)
    data.loader.cache_moved(prepared.cache, folder.cache)


def _workplace(folder: Path) -> "tempfile.TemporaryDirectory[str]":
    """In the folder of the run, so that moving from there copies nothing."""
    try:
        return tempfile.TemporaryDirectory(prefix=_PREPARING, dir=folder)
    except OSError as error:
        raise RunError(f"{folder}: cannot write in this folder: {os_reason(error)}") from None

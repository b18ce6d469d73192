"""Begin a run: make everything that can fail aside, then put it into the folder at once."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from nmt.build.data import build_corpus
from nmt.config.experiment import Config
from nmt.config.file import dump_config
from nmt.core.errors import RunError, explain_system_error
from nmt.data.batching import Shard
from nmt.distributed.process_group import ProcessGroup
from nmt.runs.run import RunDirectory
from nmt.training.logs.reporter import log_to_file
from nmt.training.new_state import build_state
from nmt.training.prepare_data import PreparedData, prepare_data, resolve_auto
from nmt.training.rank_checks import is_run_started, mark_run_started, require_same_config

_STAGING: Final = ".preparing-"


@contextmanager
def begin_or_resume(
    config: Config, group: ProcessGroup, *, resume: bool, overwrite: bool
) -> Iterator[tuple[RunDirectory, bool, PreparedData | None]]:
    """Hold the folder of a run that is begun or resumed; the first process begins it.

    Args:
        config: the experiment.
        group: the processes that train together, each of which calls this.
        resume: continue the run that is there.
        overwrite: delete the run that is there, and begin another.

    Yields:
        The folder, whether the run is resumed, and the data of a run that this process has begun.
        A run that torchrun has begun before it restarted its processes is resumed.

    Raises:
        UserError: what the user wrote cannot be trained with; nothing is changed then.
    """
    require_same_config(group, config)
    path = Path(config.run)
    resume = group.broadcast(resume or (group.is_first and _was_begun(path)))
    data = None
    with ExitStack() as stack:
        with group.rank_zero_first():
            if group.is_first:
                run = open_folder(path, resume=resume, overwrite=overwrite)
                stack.enter_context(run.held())
                delete_staging(run)
                if not resume:
                    data = create_run(config, run, group, overwrite=overwrite)
        if not group.is_first:
            run = _open_folder_of_first(path)
        yield run, resume, data


def open_folder(path: Path, *, resume: bool, overwrite: bool) -> RunDirectory:
    """Return the folder of the run; what is in its way is refused before the work begins.

    Raises:
        RunError: another process trains there, or there is a run where none may be, or none.
    """
    run = RunDirectory(path)
    if os.path.lexists(run.config):  # where that may not be seen it is refused below
        with run.held():  # at once, as neither --resume nor --overwrite would help
            pass
    if overwrite and not resume and os.path.isdir(path):
        return run
    return RunDirectory.create(path, resume=resume)


def delete_staging(run: RunDirectory) -> None:
    """Delete what a process that was killed has left behind in a folder that is held."""
    for left in run.path.glob(f"{_STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)


def create_run(
    config: Config, run: RunDirectory, group: ProcessGroup, *, overwrite: bool
) -> PreparedData:
    """Give a new run its tokenizers and encoded corpora; where that fails, all is as it was.

    A run that is there is deleted when nothing is left that can be refused.
    """
    try:
        # In the folder of the run, so that moving from there copies nothing.
        with tempfile.TemporaryDirectory(prefix=_STAGING, dir=run.path) as name:
            staging = RunDirectory(Path(name))
            data = prepare_aside(config, staging, group)
            RunDirectory.create(run.path, overwrite=overwrite)
            move_into_place(staging, run, data)
    except BaseException:
        if not any(run.path.iterdir()):
            run.path.rmdir()
        raise
    return data


def prepare_aside(config: Config, staging: RunDirectory, group: ProcessGroup) -> PreparedData:
    """Do all that can fail for what a user wrote, before anything of theirs is changed.

    Every part of the training is built once for that. What takes long to make is kept.
    """
    _read_held_out(config)
    with log_to_file(staging.log):
        data = prepare_data(config, staging, shard=Shard(group.rank, group.size))
        _read_held_out(config, data)
        build_state(config, staging, data)
    staging.write_config(dump_config(resolve_auto(config, data)))
    return data


def move_into_place(staging: RunDirectory, run: RunDirectory, data: PreparedData) -> None:
    """Move a run that is complete into its folder."""
    mark_run_started(run.path)
    # The configuration first: with it the folder is a run, which can be resumed from anywhere here.
    for item in sorted(staging.path.iterdir(), key=lambda item: item != staging.config):
        shutil.move(item, run.path / item.name)
    data.loader.cache_moved(staging.cache, run.cache)


def _was_begun(path: Path) -> bool:
    """Return whether processes that this torchrun started before have begun the run there."""
    return is_run_started(path) and os.path.lexists(RunDirectory(path).config)


def _open_folder_of_first(path: Path) -> RunDirectory:
    """Return the run that the first process has begun, which this one must be able to read."""
    try:
        return RunDirectory.create(path, resume=True)
    except (RunError, OSError) as error:
        raise RunError(
            f"{explain_system_error(error) or error} (that is where rank 0 has its run: all "
            "machines must share the folder)"
        ) from None


def _read_held_out(config: Config, data: PreparedData | None = None) -> None:
    """Refuse held-out text that cannot be read, or encoded, as grids of other channels."""
    for _, corpus in config.data.held_out():
        for source, _ in build_corpus(corpus).read_pairs():
            if data is not None:
                data.tokenizers.source.encode(source)

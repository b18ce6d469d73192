"""Creation of a run: everything that can fail is done in a staging folder, then moved at once."""

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
from nmt.runs.plugin_copies import write_copies
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
    """Lock the folder of a run that is created or resumed; the first process creates it.

    Args:
        config: the experiment.
        group: the processes that train together; each must call this.
        resume: continue the existing run.
        overwrite: replace the existing run by a new one.

    Yields:
        The folder, whether the run is resumed, and the data of a run that this process has created.
        If torchrun has restarted its processes, the run that they had created is resumed.

    Raises:
        UserError: the configuration or its files cannot be used; nothing is changed.
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
    """Return the folder of the run, after checking that it can be used.

    Raises:
        RunError: another process trains there, an existing run is in the way, or there is no run to
            resume.
    """
    run = RunDirectory(path)
    if os.path.lexists(run.config):  # an inaccessible folder is refused below
        with run.held():  # check the lock first: neither --resume nor --overwrite would help
            pass
    if overwrite and not resume and os.path.isdir(path):
        return run
    return RunDirectory.create(path, resume=resume)


def delete_staging(run: RunDirectory) -> None:
    """Delete staging folders of killed processes; the run must be locked."""
    for left in run.path.glob(f"{_STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)


def create_run(
    config: Config, run: RunDirectory, group: ProcessGroup, *, overwrite: bool
) -> PreparedData:
    """Create a run with its tokenizers and encoded corpora; on failure, nothing is changed.

    An existing run is deleted only after everything that can fail has succeeded.
    """
    try:
        # Inside the folder of the run, so that moving does not copy.
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
    """Do everything that can fail because of user input, before any user file is changed.

    Every part of the training is built once as a check. Only the prepared data, which takes long
    to make, is kept.
    """
    _read_held_out(config)
    with log_to_file(staging.log):
        data = prepare_data(config, staging, shard=Shard(group.rank, group.size))
        _read_held_out(config, data)
        build_state(config, staging, data)
    write_copies(staging.plugin_copies)
    staging.write_config(dump_config(resolve_auto(config, data)))
    return data


def move_into_place(staging: RunDirectory, run: RunDirectory, data: PreparedData) -> None:
    """Move a complete run into its folder."""
    mark_run_started(run.path)
    # The configuration first: it makes the folder a run, which can be resumed if moving is cut off.
    for item in sorted(staging.path.iterdir(), key=lambda item: item != staging.config):
        shutil.move(item, run.path / item.name)
    data.loader.cache_moved(staging.cache, run.cache)


def _was_begun(path: Path) -> bool:
    """Return whether earlier processes of this torchrun have created the run there."""
    return is_run_started(path) and os.path.lexists(RunDirectory(path).config)


def _open_folder_of_first(path: Path) -> RunDirectory:
    """Return the run that the first process has created; this process must be able to read it."""
    try:
        return RunDirectory.create(path, resume=True)
    except (RunError, OSError) as error:
        raise RunError(
            f"{explain_system_error(error) or error} (the run of rank 0; all machines must share "
            "this folder)"
        ) from None


def _read_held_out(config: Config, data: PreparedData | None = None) -> None:
    """Refuse held-out data that cannot be read or encoded, such as grids with other channels."""
    for _, corpus in config.data.held_out():
        for source, _ in build_corpus(corpus).read_pairs():
            if data is not None:
                data.tokenizers.source.encode(source)

"""`nmt train`: everything that a configuration implies."""

import argparse
import shutil
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.errors import RunError

if TYPE_CHECKING:
    from nmt.config import Config
    from nmt.run import RunDirectory

DESCRIPTION = """Train a model as one YAML file says: make the tokenizer where there is none, encode
the corpus, train, validate, keep the best, score the test set. Everything goes to the folder that
`run:` names. Ctrl-C finishes the update and saves; `--resume` goes on as if nothing had happened.
All options, with their defaults: configs/reference.yaml."""

EXAMPLES = """examples:
  nmt train configs/toy.yaml
  nmt train configs/toy.yaml run=runs/dot model.attention.score=dot seed=2
  nmt train configs/toy.yaml --resume"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a YAML file")
    parser.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        help="an option other than in the file, by its dotted key: model.attention.score=dot",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--resume", action="store_true", help="go on with a run that was broken off")
    group.add_argument(
        "--overwrite", action="store_true", help="delete the run that is there, and start anew"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train to the end, or until interrupted."""
    from nmt.config_file import load_config
    from nmt.training.disk import explained

    config = load_config(arguments.config, arguments.overrides)
    path = Path(config.run)
    with explained(path):
        folder = _folder(path, config, arguments)

        from nmt.training.trainer import train

        result = train(config, folder, resume=arguments.resume)
    return 0 if result.signal is None else 128 + result.signal


def _folder(path: Path, config: "Config", arguments: argparse.Namespace) -> "RunDirectory":
    """The folder of the run, with all that is needed to train in it."""
    from nmt.run import RunDirectory

    if arguments.resume:
        return RunDirectory.create(path, resume=True)
    if arguments.overwrite and path.exists():
        return _replace(path, config)
    # At once, so that what is in the way is told before the work, not after it.
    folder = RunDirectory.create(path)
    _fill(folder, config)
    return folder


def _replace(path: Path, config: "Config") -> "RunDirectory":
    """A new run in the place of an old one, which goes when nothing is left that can be refused."""
    from nmt.run import RunDirectory

    with _workplace(path.parent) as name:
        prepared = RunDirectory(Path(name))
        _prepare(prepared, config)
        folder = RunDirectory.create(path, overwrite=True)
        _move(prepared, folder)
    return folder


def _fill(folder: "RunDirectory", config: "Config") -> None:
    """Give a new run its tokenizers and encoded corpora; where that fails, it is empty again."""
    from nmt.run import RunDirectory

    try:
        with _workplace(folder.path) as name:
            prepared = RunDirectory(Path(name))
            _prepare(prepared, config)
            _move(prepared, folder)
    except BaseException:
        if not any(folder.path.iterdir()):
            folder.path.rmdir()
        raise


def _prepare(prepared: "RunDirectory", config: "Config") -> None:
    """Do all that can fail for what a person wrote, before anything of theirs is changed.

    Every part of the training is made once for that, and let go.
    """
    from nmt.build import parallel_files
    from nmt.config_file import dump_config
    from nmt.data.corpus import read_pairs
    from nmt.training.assembly import assemble

    for corpus in (config.data.valid, config.data.test):
        if corpus is not None:
            deque(read_pairs(parallel_files(corpus)), maxlen=0)
    assemble(config, prepared, checkpoint=None)
    prepared.write_config(dump_config(config))


def _move(prepared: "RunDirectory", folder: "RunDirectory") -> None:
    # The configuration first: with it the folder is a run, which can be resumed from anywhere here.
    others = (item for item in prepared.path.iterdir() if item != prepared.config)
    for item in (prepared.config, *others):
        shutil.move(item, folder.path / item.name)


def _workplace(parent: Path) -> "tempfile.TemporaryDirectory[str]":
    """On the disk of the run, so that moving from there copies nothing."""
    try:
        return tempfile.TemporaryDirectory(prefix=".preparing-", dir=parent)
    except OSError as error:
        raise RunError(f"{parent}: cannot write in this folder: {error.strerror}") from None

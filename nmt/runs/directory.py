"""The folder of a run: the only place that knows the names of the files in it."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nmt.config.yaml import MAX_CONFIG_BYTES, RUN_KEYS, read_yaml
from nmt.core.errors import RunError, os_advice, os_reason
from nmt.system.files import atomic_write, lock, read_regular

BEST: Final = "best"
LAST: Final = "last"

_CONFIG = "config.yaml"
_TOKENIZER = "tokenizer"
_LEXICON = "lexicon"
# nmt reads neither of the two, and people may keep files of their own there.
_UNREAD = ("translations", "plots")
_LOGS = ("metrics.jsonl", "tensorboard", "train.log", "environment.json")
_TRAINED = (_CONFIG, _TOKENIZER, "cache", _LEXICON)
_CONTENTS = (*_TRAINED, *_LOGS, "checkpoints", *_UNREAD, "results.json")
_PROTECTED = {*_CONTENTS} - {*_UNREAD}


@dataclass(frozen=True)
class RunDirectory:
    """Everything of one run, in one folder that can be moved to another machine.

    Attributes:
        path: the folder.
    """

    path: Path

    @classmethod
    def create(
        cls, path: str | Path, *, overwrite: bool = False, resume: bool = False
    ) -> "RunDirectory":
        """The folder for a run that is to be trained.

        Args:
            path: where; parents are made.
            overwrite: if there is a run already, delete what it left (and nothing else in there).
            resume: there has to be a run already; leave it as it is.

        Raises:
            RunError: something is in the way, or there is nothing to resume.
            ConfigError: the configuration of the run to delete is not valid YAML.
        """
        assert not (overwrite and resume)
        run = cls(Path(path))
        if resume:
            run._require_run("there is no run to resume; leave --resume out to start one")
            return run
        if run._is_run():
            if not overwrite:
                raise RunError(
                    f"{path}: there is a run already; --resume continues it, --overwrite deletes "
                    "it and starts anew, run=PATH puts the new one elsewhere"
                )
            read_yaml(run.config)  # what is not even YAML is not deleted
            run._delete_contents()
        run._make()
        return run

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """The folder of a run that has been trained.

        Raises:
            RunError: there is no folder, or it is no run, or it has no tokenizer.
        """
        run = cls(Path(path))
        run._require_run("not a run; name the folder that `nmt train` made")
        if not any(map(_is_folder, (run.shared_tokenizer, run.target_tokenizer))):
            raise RunError(
                f"{run.path / _TOKENIZER}: the run's tokenizer is missing; without it the model "
                "cannot be used: bring the folder back from a copy of the run, or train again"
            )
        return run

    @contextmanager
    def held(self) -> Iterator[None]:
        """For one process at a time that trains in it; however it ends, the system lets go.

        Raises:
            RunError: another one holds it, or it may not be read.
        """
        try:
            folder = os.open(self.path, os.O_RDONLY)
        except PermissionError:
            raise RunError(f"{self.path}: no permission to read it") from None
        try:
            if not lock(folder):
                raise RunError(
                    f"{self.path}: another process trains in this folder; wait for it, or end it"
                )
            yield
        finally:
            os.close(folder)

    def protects(self, path: str | Path) -> bool:
        """Return whether a path is a file of the run, or inside a folder of it, that nmt reads."""
        return self._entry_of(path) in _PROTECTED

    def would_delete(self, path: str | Path) -> bool:
        """Return whether a path is among the contents that a new run with `overwrite` deletes."""
        return self._entry_of(path) in _CONTENTS

    def _entry_of(self, path: str | Path) -> str | None:
        """Return the entry of the folder that a path is, or lies in, after following links."""
        below = os.path.relpath(os.path.realpath(path), os.path.realpath(self.path))
        first = below.split(os.sep, 1)[0]
        return None if first in (os.curdir, os.pardir) else first

    @property
    def config(self) -> Path:
        """The resolved configuration, YAML."""
        return self.path / _CONFIG

    def write_config(self, text: str) -> None:
        """Put the resolved configuration in place, whole or not at all.

        Without it the folder is no run, so that a process killed here must not leave half of it.

        Raises:
            RunError: it cannot be written.
        """
        try:
            with atomic_write(self.config) as partial:
                partial.write_text(text, encoding="utf-8")
        except OSError as error:
            raise RunError(f"{self.config}: cannot be written: {os_reason(error)}") from None

    @property
    def shared_tokenizer(self) -> Path:
        """Folder of the tokenizer of both languages, where they share one."""
        return self.path / _TOKENIZER / "shared"

    @property
    def source_tokenizer(self) -> Path:
        """Folder of the source's own tokenizer."""
        return self.path / _TOKENIZER / "source"

    @property
    def target_tokenizer(self) -> Path:
        """Folder of the target's own tokenizer."""
        return self.path / _TOKENIZER / "target"

    @property
    def cache(self) -> Path:
        """Folder of the encoded corpora."""
        return self.path / "cache"

    @property
    def metrics(self) -> Path:
        """What was measured in training, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Folder of the event files of TensorBoard."""
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        """What training said."""
        return self.path / "train.log"

    @property
    def environment(self) -> Path:
        """Versions and hardware, JSON."""
        return self.path / "environment.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def checkpoint(self, name: str) -> Path:
        """Return the folder of one checkpoint: `best`, `last` or `step-N`.

        Raises:
            RunError: the name leads out of the folder of the checkpoints.
        """
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise RunError(
                f"--checkpoint {name!r}: must be the name of a checkpoint of the run: {BEST}, "
                f"{LAST} or step-N"
            )
        return self.checkpoints / name

    @property
    def lexicon(self) -> Path:
        """Folder of the table of translations of tokens, where one was made."""
        return self.path / _LEXICON

    @property
    def translations(self) -> Path:
        """Folder of the translations of validation and test sets."""
        return self.path / "translations"

    @property
    def plots(self) -> Path:
        """Folder of the learning curves and attention maps."""
        return self.path / "plots"

    @property
    def results(self) -> Path:
        """Scores on the test set, JSON."""
        return self.path / "results.json"

    def _is_run(self) -> bool:
        """Whether the folder holds a run of ours; just any `config.yaml` is not enough.

        Raises:
            RunError: that cannot be told without the permission to read it.
        """
        try:
            text = read_regular(self.config, MAX_CONFIG_BYTES).decode()
        except PermissionError:
            raise RunError(f"{self.config}: no permission to read it") from None
        except OSError as error:
            if os_advice(error) is not None:
                raise RunError(f"{self.config}: cannot be read: {os_reason(error)}") from None
            return False
        except UnicodeDecodeError:
            return False
        return set(re.findall(r"^(\w+):", text, re.MULTILINE)) >= RUN_KEYS

    def _require_run(self, otherwise: str) -> None:
        if _mode(self.path, follow_symlinks=False) is None:  # a link to nothing is there
            raise RunError(f"{self.path}: no such folder: {otherwise}")
        if not _is_folder(self.path):
            raise RunError(
                f"{self.path}: is not a folder: {otherwise} (a file of `nmt export` is for "
                "`nmt translate` alone)"
            )
        if not os.access(self.path, os.R_OK | os.X_OK):
            raise RunError(f"{self.path}: no permission to read it")
        if not os.path.lexists(self.config):
            raise RunError(f"{self.path}: it has no {_CONFIG}: {otherwise}")
        if not self._is_run():
            raise RunError(f"{self.config}: not the configuration of a run: {otherwise}")

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            in_the_way = sorted(entry.name for entry in self.path.iterdir())
        except (FileExistsError, NotADirectoryError):
            raise RunError(f"{self.path}: a file is in the way; give run=PATH elsewhere") from None
        except OSError as error:
            raise RunError(f"{self.path}: cannot make the run: {os_reason(error)}") from None
        ours = [name for name in in_the_way if name in _CONTENTS]
        if ours:
            raise RunError(
                f"{self.path}: holds {ours[0]!r} but no run that could be continued; move it away, "
                "or give run=PATH elsewhere"
            )

    def _delete_contents(self) -> None:
        """The configuration goes last: while it is there, the folder is known as a run."""
        for name in reversed(_CONTENTS):
            entry = self.path / name
            try:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
            except OSError as error:
                raise RunError(f"{entry}: cannot be deleted: {os_reason(error)}") from None


def _is_folder(path: Path) -> bool:
    mode = _mode(path, follow_symlinks=True)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path, *, follow_symlinks: bool) -> int | None:
    """What kind of thing it is; None: there is nothing.

    `Path.is_dir` and its like take what may not be looked at for missing, or raise, as the version
    of Python will have it.
    """
    try:
        return os.stat(path, follow_symlinks=follow_symlinks).st_mode
    except PermissionError:
        raise RunError(f"{path}: no permission to look at it") from None
    except OSError as error:
        if os_advice(error) is not None:
            raise RunError(f"{path}: {os_reason(error)}") from None
        return None

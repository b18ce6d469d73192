"""The folder of a run, whose files only this module names, and a run that is open."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nmt.config.decoding import DecodingConfig
from nmt.config.experiment import RUN_KEYS, Config
from nmt.config.file import MAX_CONFIG_BYTES, load_config, read_yaml
from nmt.config.layers import Override
from nmt.core.errors import ConfigError, RunError, os_advice
from nmt.system.files import lock, read_regular, write_text

BEST: Final = "best"
LAST: Final = "last"

_CONFIG = "config.yaml"
# nmt reads neither of the two, and people may keep files of their own there.
_UNREAD = ("translations", "plots")
_LOGS = ("metrics.jsonl", "tensorboard", "train.log", "environment.json")
_TRAINED = (_CONFIG, "tokenizer", "cache", "lexicon")
_CONTENTS = (*_TRAINED, *_LOGS, "checkpoints", *_UNREAD, "results.json")
_PROTECTED = {*_CONTENTS} - {*_UNREAD}


class _Entry:
    """A path in the folder of a run, as an attribute of its `RunDirectory`."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def __get__(self, run: "RunDirectory", owner: type) -> Path:
        return run.path.joinpath(*self.names)


@dataclass(frozen=True)
class RunDirectory:
    """Everything of one run, in one folder that can be moved to another machine.

    Attributes:
        path: the folder.
        config: the resolved configuration, YAML.
        shared_tokenizer: folder of the tokenizer of both languages, where they share one.
        source_tokenizer: folder of the source's own tokenizer.
        target_tokenizer: folder of the target's own tokenizer.
        cache: folder of the encoded corpora.
        lexicon: folder of the table of translations of tokens, where one was made.
        metrics: what was measured in training, one JSON object a line.
        tensorboard: folder of the event files of TensorBoard.
        log: what training said.
        environment: versions and hardware, JSON.
        checkpoints: folder of the checkpoints.
        translations: folder of the translations of validation and test sets.
        plots: folder of the learning curves and attention maps.
        results: scores on the test set, JSON.
    """

    path: Path

    config = _Entry(_CONFIG)
    shared_tokenizer = _Entry("tokenizer", "shared")
    source_tokenizer = _Entry("tokenizer", "source")
    target_tokenizer = _Entry("tokenizer", "target")
    cache = _Entry("cache")
    lexicon = _Entry("lexicon")
    metrics = _Entry("metrics.jsonl")
    tensorboard = _Entry("tensorboard")
    log = _Entry("train.log")
    environment = _Entry("environment.json")
    checkpoints = _Entry("checkpoints")
    translations = _Entry("translations")
    plots = _Entry("plots")
    results = _Entry("results.json")

    @classmethod
    def create(
        cls, path: str | Path, *, overwrite: bool = False, resume: bool = False
    ) -> "RunDirectory":
        """Return the folder for a run that is to be trained.

        Args:
            path: where; parents are made.
            overwrite: if there is a run already, delete what it left (and nothing else in there).
            resume: there has to be a run already; leave it as it is.

        Raises:
            RunError: something is in the way, or there is nothing to resume.
            ConfigError: the configuration of the run to delete is not valid YAML.
            OSError: the folder cannot be read, made or emptied.
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
                    "it and starts again, run=PATH puts the new one elsewhere"
                )
            read_yaml(run.config)  # what is not even YAML is not deleted
            run._delete_contents()
        run._make()
        return run

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """Return the folder of a run that has been trained.

        Raises:
            RunError: there is no folder, or it is no run, or it has no tokenizer.
            OSError: it cannot be read.
        """
        run = cls(Path(path))
        run._require_run("not a run; name the folder that `nmt train` made")
        if not (run.shared_tokenizer.is_dir() or run.target_tokenizer.is_dir()):
            raise RunError(
                f"{run.shared_tokenizer.parent}: the run's tokenizer is missing; without it the "
                "model cannot be used: bring the folder back from a copy of the run, or train again"
            )
        return run

    @contextmanager
    def held(self) -> Iterator[None]:
        """For one process at a time that writes in it; however it ends, the system lets go.

        Raises:
            RunError: another one holds it.
            OSError: it cannot be read.
        """
        folder = os.open(self.path, os.O_RDONLY)
        try:
            if not lock(folder):
                raise RunError(
                    f"{self.path}: another process works in this folder; wait for it, or end it"
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

    def _entry_of(self, path: str | Path) -> str:
        """Return the entry of the folder that a path is, or lies in, after following links."""
        below = os.path.relpath(os.path.realpath(path), os.path.realpath(self.path))
        return below.split(os.sep, 1)[0]  # `.` or `..` of what is not inside

    def write_config(self, text: str) -> None:
        """Put the resolved configuration in place, whole or not at all.

        Without it the folder is no run, so that a process killed here must not leave half of it.
        """
        write_text(self.config, text)

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

    def _is_run(self) -> bool:
        """Return whether the folder holds a run of ours; just any `config.yaml` is not enough.

        Raises:
            OSError: that cannot be known, for a lack of permission or of something else.
        """
        try:
            text = read_regular(self.config, MAX_CONFIG_BYTES).decode()
        except UnicodeDecodeError:
            return False
        except OSError as error:
            if isinstance(error, PermissionError) or os_advice(error) is not None:
                raise
            return False
        return set(re.findall(r"^(\w+):", text, re.MULTILINE)) >= RUN_KEYS

    def _require_run(self, otherwise: str) -> None:
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            raise RunError(f"{self.path}: no such folder: {otherwise}") from None
        except NotADirectoryError:
            raise RunError(
                f"{self.path}: is not a folder: {otherwise} (a file of `nmt export` is for "
                "`nmt translate` alone)"
            ) from None
        if _CONFIG not in names:
            raise RunError(f"{self.path}: it has no {_CONFIG}: {otherwise}")
        if not self._is_run():
            raise RunError(f"{self.config}: not the configuration of a run: {otherwise}")

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise RunError(f"{self.path}: a file is in the way; give run=PATH elsewhere") from None
        ours = [name for name in sorted(os.listdir(self.path)) if name in _CONTENTS]
        if ours:
            raise RunError(
                f"{self.path}: holds {ours[0]!r} but no run that could be continued; move it away, "
                "or give run=PATH elsewhere"
            )

    def _delete_contents(self) -> None:
        """Delete the configuration last: while it is there, the folder is known as a run."""
        for name in reversed(_CONTENTS):
            entry = self.path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


@dataclass(frozen=True)
class Run:
    """A trained run, whose configuration is read once and passed on.

    Attributes:
        folder: where its files are.
        config: its configuration, with the options of a command or a program laid over it.
    """

    folder: RunDirectory
    config: Config

    @classmethod
    def open(
        cls,
        path: str | Path,
        overrides: Sequence[str | Override] = (),
        *,
        decoding: DecodingConfig | Mapping[str, Any] | None = None,
    ) -> "Run":
        """Open the folder of a run that has been trained.

        Args:
            path: of the folder.
            overrides: ``key=value`` with dotted keys, as `load_config` takes them.
            decoding: options of `decoding`, laid over the run's, or all of them.

        Raises:
            RunError: the folder is not a run, or its tokenizer is missing.
            ConfigError: the configuration is not valid, or an option is not.
        """
        folder = RunDirectory.open(path)
        given = decoding.model_dump() if isinstance(decoding, DecodingConfig) else decoding
        options = None if given is None else {"decoding": dict(given)}
        return cls(folder, load_config(folder.config, overrides, options))

    @classmethod
    def of(
        cls, run: "Run | str | Path", decoding: DecodingConfig | Mapping[str, Any] | None
    ) -> "Run":
        """Return a run that is open, or open a folder with options of `decoding`.

        Raises:
            RunError: as `open`.
            ConfigError: as `open`; or there are options for a run that is open already.
        """
        if not isinstance(run, Run):
            return cls.open(run, decoding=decoding)
        if decoding is not None:
            raise ConfigError("decoding: the run is open already; give the options to Run.open")
        return run

    def with_decoding(self, decoding: DecodingConfig) -> "Run":
        """Return the run with other options of `decoding`."""
        return replace(self, config=self.config.model_copy(update={"decoding": decoding}))

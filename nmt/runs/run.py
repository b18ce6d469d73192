"""The folder of a run, and an open run; only this module knows the names of a run's files."""

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
from nmt.runs.plugin_copies import warn_about_changes
from nmt.system.files import lock, read_regular, write_text

BEST: Final = "best"
LAST: Final = "last"

_CONFIG = "config.yaml"
# nmt reads neither folder, and users may keep their own files there.
_UNREAD = {"translations", "plots"}


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
        shared_tokenizer: folder of the tokenizer of both languages, if they share one.
        source_tokenizer: folder of the source's own tokenizer.
        target_tokenizer: folder of the target's own tokenizer.
        cache: folder of the encoded corpora.
        lexicon: folder of the lexical table of tokens, if one was made.
        plugin_copies: folder of the text of plug-ins from outside the package, if there are any.
        metrics: metrics of training, one JSON object per line.
        tensorboard: folder of the event files of TensorBoard.
        log: log of the training.
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
    plugin_copies = _Entry("plugin_copies")
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
            path: path of the folder; created with its parents.
            overwrite: delete the files of an existing run (but no other files of the folder).
            resume: require an existing run, and leave it as it is.

        Raises:
            RunError: something is in the way, or there is nothing to resume.
            ConfigError: the configuration of the run to delete is not valid YAML.
            OSError: the folder cannot be read, created or emptied.
        """
        assert not (overwrite and resume)
        run = cls(Path(path))
        if resume:
            run._require_run("leave --resume out to start a run")
            return run
        if run._is_run():
            if not overwrite:
                raise RunError(
                    f"{path}: already holds a run; --resume continues it, --overwrite deletes it "
                    "and starts again, run=PATH puts the new one elsewhere"
                )
            read_yaml(run.config)  # refuse to delete the run if this is not YAML
            run._delete_contents()
        run._make()
        return run

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """Return the folder of a run that has been trained.

        Raises:
            RunError: there is no such folder, it is not a run, or it has no tokenizer.
            OSError: it cannot be read.
        """
        run = cls(Path(path))
        run._require_run("name the folder that `nmt train` made")
        if not (run.shared_tokenizer.is_dir() or run.target_tokenizer.is_dir()):
            raise RunError(
                f"{run.shared_tokenizer.parent}: the run's tokenizer is missing; put back a copy "
                "of this folder, or train again"
            )
        return run

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the folder for this process, which writes in it; the lock ends with the process.

        Raises:
            RunError: another process has locked it.
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
        """Return whether a path is, or lies in, an entry of the run that nmt reads."""
        return self._entry_of(path) in _PROTECTED

    def would_delete(self, path: str | Path) -> bool:
        """Return whether a new run with `overwrite` deletes this path."""
        return self._entry_of(path) in _CONTENTS

    def _entry_of(self, path: str | Path) -> str:
        """Return the entry of the folder that a path is, or lies in; links are followed."""
        below = os.path.relpath(os.path.realpath(path), os.path.realpath(self.path))
        return below.split(os.sep, 1)[0]  # `.` or `..` if it is not inside

    def write_config(self, text: str) -> None:
        """Write the resolved configuration atomically.

        The configuration makes the folder a run, so a killed process must not leave half of it.
        """
        write_text(self.config, text)

    def warn_of_changed_plugins(self) -> None:
        """Warn about each imported plug-in that differs from the copy that the run has, if any."""
        if self.plugin_copies.exists():
            warn_about_changes(self.plugin_copies)

    def checkpoint(self, name: str) -> Path:
        """Return the folder of one checkpoint: `best`, `last` or `step-N`.

        Raises:
            RunError: the name points outside the folder of the checkpoints.
        """
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise RunError(f"--checkpoint {name!r}: must be {BEST}, {LAST} or step-N")
        return self.checkpoints / name

    def _is_run(self) -> bool:
        """Return whether the folder holds a run of nmt; not every `config.yaml` makes it one.

        Raises:
            OSError: the file cannot be read, without permission or for another reason.
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
            raise RunError(f"{self.path}: no such folder; {otherwise}") from None
        except NotADirectoryError:
            raise RunError(
                f"{self.path}: is not a folder; {otherwise} (only translate, trace and serve take "
                "a file of `nmt export`)"
            ) from None
        if _CONFIG not in names:
            raise RunError(f"{self.path}: has no {_CONFIG}; {otherwise}")
        if not self._is_run():
            raise RunError(f"{self.config}: not the configuration of a run; {otherwise}")

    def _make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise RunError(f"{self.path}: a file has this name; choose another run=PATH") from None
        ours = [name for name in sorted(os.listdir(self.path)) if name in _CONTENTS]
        if ours:
            raise RunError(
                f"{self.path}: not a run that can be resumed, but it contains {ours[0]!r}; move it "
                "away, or choose another run=PATH"
            )

    def _delete_contents(self) -> None:
        """Delete the files of the run; the configuration last, as it makes the folder a run."""
        for name in reversed(_CONTENTS):
            entry = self.path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


_ENTRIES = [entry.names[0] for entry in vars(RunDirectory).values() if isinstance(entry, _Entry)]
_CONTENTS = tuple(dict.fromkeys(_ENTRIES))  # the configuration first
_PROTECTED = {*_CONTENTS} - _UNREAD


@dataclass(frozen=True)
class Run:
    """A trained run, whose configuration is read once and passed on.

    Attributes:
        folder: the run's folder.
        config: its configuration, with the overrides of a command or a program.
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
        plugins: Sequence[str | Path | type] = (),
    ) -> "Run":
        """Open the folder of a run that has been trained.

        Args:
            path: path of the folder.
            overrides: ``key=value`` with dotted keys, as `load_config` takes them.
            decoding: options of `decoding`: some, which override the run's, or all of them.
            plugins: files and modules of plug-ins from outside the package (see `allow`).

        Raises:
            RunError: the folder is not a run, or its tokenizer is missing.
            ConfigError: the configuration or an option is not valid.
        """
        folder = RunDirectory.open(path)
        given = decoding.model_dump() if isinstance(decoding, DecodingConfig) else decoding
        options = None if given is None else {"decoding": dict(given)}
        config = load_config(folder.config, overrides, options, plugins=plugins)
        folder.warn_of_changed_plugins()
        return cls(folder, config)

    @classmethod
    def of(
        cls,
        run: "Run | str | Path",
        decoding: DecodingConfig | Mapping[str, Any] | None,
        plugins: Sequence[str | Path | type] = (),
    ) -> "Run":
        """Return an open run as it is, or open a folder with options of `decoding` and plug-ins.

        Raises:
            RunError, ConfigError: as in `open`; or the run is open, and something is given for it.
        """
        if not isinstance(run, Run):
            return cls.open(run, decoding=decoding, plugins=plugins)
        for name, given in (("decoding", decoding is not None), ("plugins", bool(plugins))):
            if given:
                raise ConfigError(f"{name}: cannot be changed in an open run; give it to Run.open")
        return run

    def with_decoding(self, decoding: DecodingConfig) -> "Run":
        """Return the run with other options of `decoding`."""
        return replace(self, config=self.config.model_copy(update={"decoding": decoding}))

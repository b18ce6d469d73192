"""A run that is open: its folder, and the configuration that it is used with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt.config.decoding import DecodingConfig
from nmt.config.experiment import Config
from nmt.config.file import Override, load_config
from nmt.core.errors import ConfigError
from nmt.runs.directory import RunDirectory


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
        if isinstance(decoding, DecodingConfig):
            return cls(folder, load_config(folder.config, overrides)).with_decoding(decoding)
        options = None if decoding is None else {"decoding": dict(decoding)}
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

"""Tokenizers of a run: loaded, copied or trained according to the options."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from nmt.build.data import build_corpus
from nmt.config.data import CorpusConfig
from nmt.config.experiment import Config, TokenizerConfig
from nmt.config.registry import TOKENIZERS
from nmt.core.errors import ConfigError, RunError
from nmt.data.formats.grids import GridReader
from nmt.runs.run import Run, RunDirectory
from nmt.text.normalization import Normalizer
from nmt.text.reader import SourceReader
from nmt.text.storage import load_sentencepiece, load_tokenizer, save_tokenizer
from nmt.text.tokenizer import Tokenizer, TokenizerTrainer

_SIDES: Final = {(0, 1): "both sides", (0,): "the source", (1,): "the target"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokenizers:
    """Readers of both sides; a shared tokenizer is one object, and the source may be grids."""

    source: SourceReader[Any]
    target: Tokenizer

    @property
    def sizes(self) -> tuple[int, int]:
        """Return V of the source and of the target."""
        return len(self.source), len(self.target)


def build_tokenizers(config: Config, run: RunDirectory) -> Tokenizers:
    """Return the run's tokenizers; missing ones are copied or trained, and saved in the run.

    Raises:
        UserError: the text or a saved tokenizer cannot be used.
    """
    options = config.tokenizer
    if options.shared:
        shared = _build(config, run.shared_tokenizer, options.source_path, (0, 1))
        return Tokenizers(shared, shared)
    source = _grid_reader(config) or _build(config, run.source_tokenizer, options.source_path, (0,))
    return Tokenizers(source, _build(config, run.target_tokenizer, options.target_path, (1,)))


def load_tokenizers(run: Run) -> Tokenizers:
    """Load the tokenizers of a trained run.

    Raises:
        RunError: a tokenizer file is missing or corrupted.
    """
    folder = run.folder
    if folder.shared_tokenizer.is_dir():
        shared = load_tokenizer(folder.shared_tokenizer)
        return Tokenizers(shared, shared)
    source = _grid_reader(run.config) or load_tokenizer(folder.source_tokenizer)
    return Tokenizers(source, load_tokenizer(folder.target_tokenizer))


def _grid_reader(config: Config) -> GridReader | None:
    if not config.reads_grids:
        return None
    options = config.model.encoder.options
    return GridReader(options["channels"], options["max_rows"], options["max_columns"])


def _build(config: Config, folder: Path, given: str | None, sides: tuple[int, ...]) -> Tokenizer:
    """Load the tokenizer in a folder; if it is missing, save a given or newly trained one there."""
    if folder.is_dir():
        return load_tokenizer(folder)
    options = config.tokenizer
    if given is not None:
        tokenizer = load_given_tokenizer(options, given)
    else:
        logger.info("training the tokenizer of %s (%s)", _SIDES[sides], options.name)
        normalizer = Normalizer(options.normalization, options.lowercase)
        trainer: TokenizerTrainer = TOKENIZERS.create(options, normalizer)
        tokenizer = trainer.train(partial(_read_sides, config.data.train, sides))
    save_tokenizer(tokenizer, folder)
    return tokenizer


def load_given_tokenizer(options: TokenizerConfig, path: str) -> Tokenizer:
    """Load a saved tokenizer: a folder saved by nmt, or a SentencePiece model.

    Raises:
        ConfigError: the options name another tokenizer than sentencepiece for a SentencePiece
            model.
        RunError: the path does not exist, or the tokenizer cannot be used.
    """
    if Path(path).is_dir():
        return load_tokenizer(Path(path))
    if not os.path.lexists(path):
        raise RunError(
            f"{path}: tokenizer not found; give the folder of one that nmt has saved, or a "
            "SentencePiece .model file"
        )
    if options.name != "sentencepiece":
        raise ConfigError(
            f"tokenizer.name: {options.name!r} cannot be combined with the SentencePiece model "
            f"{path} (source_path or target_path); set it to sentencepiece"
        )
    normalizer = Normalizer(options.normalization, options.lowercase)
    alpha = float(options.options.get("sampling_alpha", 0.0))
    return load_sentencepiece(Path(path), normalizer, sampling_alpha=alpha)


def _read_sides(corpora: list[CorpusConfig], sides: tuple[int, ...]) -> Iterator[str]:
    """Yield the sentences of the given sides of all corpora."""
    for corpus in corpora:
        for pair in build_corpus(corpus).read_pairs():
            yield from (pair[side] for side in sides)

"""From options to the tokenizers of a run: load, copy or train them."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nmt.build.data import build_corpus
from nmt.config.base import TOKENIZERS
from nmt.config.data import CorpusConfig
from nmt.config.experiment import Config, TokenizerConfig
from nmt.config.model import GridEncoderConfig
from nmt.config.registry import PlugIn
from nmt.core.errors import ConfigError, RunError
from nmt.data.formats.corpus import read_pairs
from nmt.data.formats.grids import GridReader
from nmt.runs.directory import RunDirectory
from nmt.runs.run import Run
from nmt.text.normalization import Normalizer
from nmt.text.reader import SourceReader
from nmt.text.sentencepiece_import import load_sentencepiece
from nmt.text.storage import load_tokenizer, save_tokenizer
from nmt.text.tokenizer import Tokenizer, TokenizerTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokenizers:
    """What reads both sides: tokenizers, one object where they share a vocabulary, or grids."""

    source: SourceReader[Any]
    target: Tokenizer

    @property
    def sizes(self) -> dict[str, int]:
        """V of both sides, by the arguments of `load_model`."""
        return {"source_size": len(self.source), "target_size": len(self.target)}


def build_tokenizers(config: Config, run: RunDirectory) -> Tokenizers:
    """The run's tokenizers; where it has none yet, they are copied or trained, and saved in it.

    Raises:
        UserError: the text or a saved tokenizer cannot be used.
    """
    options = config.tokenizer
    make = partial(_tokenizer, options, config.data.train)
    if options.shared:
        shared = make(run.shared_tokenizer, options.source_path, "both sides", (0, 1))
        return Tokenizers(shared, shared)
    encoder = config.model.encoder
    if isinstance(encoder, GridEncoderConfig):
        source: SourceReader[Any] = _grid_reader(encoder)
    else:
        source = make(run.source_tokenizer, options.source_path, "the source", (0,))
    target = make(run.target_tokenizer, options.target_path, "the target", (1,))
    return Tokenizers(source, target)


def load_tokenizers(run: Run) -> Tokenizers:
    """Load the tokenizers of a trained run.

    Raises:
        RunError: a file of theirs is missing or corrupted.
    """
    folder, encoder = run.folder, run.config.model.encoder
    if folder.shared_tokenizer.is_dir():
        shared = load_tokenizer(folder.shared_tokenizer)
        return Tokenizers(shared, shared)
    target = load_tokenizer(folder.target_tokenizer)
    if isinstance(encoder, GridEncoderConfig):
        return Tokenizers(_grid_reader(encoder), target)
    return Tokenizers(load_tokenizer(folder.source_tokenizer), target)


def _grid_reader(options: GridEncoderConfig) -> GridReader:
    return GridReader(options.channels, options.max_rows, options.max_columns)


def _tokenizer(
    options: TokenizerConfig,
    corpora: list[CorpusConfig],
    folder: Path,
    given: str | None,
    name: str,
    sides: tuple[int, ...],
) -> Tokenizer:
    """The tokenizer in `folder`; where there is none, the one given, or a new one for `sides`."""
    if folder.is_dir():
        return load_tokenizer(folder)
    if given is not None:
        tokenizer = load_given_tokenizer(options, given)
    else:
        logger.info("training the %s tokenizer of %s", options.name, name)
        plugin = PlugIn(name=options.name, **(options.model_extra or {}))
        normalizer = Normalizer(options.normalization, options.lowercase)
        trainer: TokenizerTrainer = TOKENIZERS.create(plugin, normalizer)
        tokenizer = trainer.train(_lines(corpora, sides))
    save_tokenizer(tokenizer, folder)
    return tokenizer


def load_given_tokenizer(options: TokenizerConfig, path: str) -> Tokenizer:
    """Read a tokenizer that the options name: a folder of nmt's, or a model of SentencePiece.

    Raises:
        ConfigError: the options are of another tokenizer than the model.
        RunError: there is nothing at this path, or it cannot be used.
    """
    if Path(path).is_dir():
        return load_tokenizer(Path(path))
    if not os.path.lexists(path):
        raise RunError(
            f"{path}: no such tokenizer: give the folder of one that nmt has saved, or the .model "
            "file of SentencePiece"
        )
    if options.name != "sentencepiece":
        raise ConfigError(
            f"tokenizer.name: {options.name!r} cannot be combined with a file as source_path or "
            f"target_path ({path}), which is a model of SentencePiece; set it to sentencepiece"
        )
    normalizer = Normalizer(options.normalization, options.lowercase)
    alpha = float((options.model_extra or {}).get("sampling_alpha", 0.0))
    return load_sentencepiece(Path(path), normalizer, sampling_alpha=alpha)


def _lines(corpora: list[CorpusConfig], sides: tuple[int, ...]) -> Callable[[], Iterator[str]]:
    """The sentences of these sides of all corpora, to be read any number of times."""

    def read() -> Iterator[str]:
        for corpus in corpora:
            for pair in read_pairs(build_corpus(corpus)):
                yield from (pair[side] for side in sides)

    return read

"""From options to the tokenizers, the training batches and the search."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from nmt.build.corpus import build_corpus
from nmt.config.experiment import (
    COVERAGE_PENALTIES,
    LENGTH_PENALTIES,
    SEARCHES,
    TOKENIZERS,
    Config,
    CorpusConfig,
    DecodingConfig,
    GridEncoderConfig,
    TokenizerConfig,
)
from nmt.config.file import load_config
from nmt.config.registry import PlugIn
from nmt.core.byte_spelling import Spelling
from nmt.core.errors import ConfigError, RunError
from nmt.data.batching import BatchSampler
from nmt.data.cache import encode_corpus
from nmt.data.corpus import read_pairs
from nmt.data.encoded_corpus import EncodedCorpus
from nmt.data.filters import Filters
from nmt.data.grids import GridReader
from nmt.data.loader import DataLoader
from nmt.data.shard import UNSHARDED, Shard
from nmt.evaluation.minimum_bayes_risk import UTILITIES, MinimumBayesRisk
from nmt.runs.directory import RunDirectory
from nmt.search.forbidden import ForbiddenPhrases
from nmt.search.penalties import Scoring
from nmt.search.rule_variants import EndThreshold, NoRepeatedNgrams, RepetitionPenalty
from nmt.search.rules import Rule, Rules, SearchLimits
from nmt.search.search import Search
from nmt.system.threads import num_cores
from nmt.text.normalization import Normalizer
from nmt.text.reader import SourceReader
from nmt.text.tokenizer import Tokenizer, TokenizerTrainer
from nmt.text.tokenizers import load_sentencepiece, load_tokenizer

_MOST_PROCESSES: Final = 8  # the one that reads for them cannot keep more of them at work

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


def load_tokenizers(run: RunDirectory) -> Tokenizers:
    """The tokenizers of a trained run.

    Raises:
        RunError: a file of theirs is missing or damaged.
    """
    if run.shared_tokenizer.is_dir():
        shared = load_tokenizer(run.shared_tokenizer)
        return Tokenizers(shared, shared)
    encoder = load_config(run.config).model.encoder
    if isinstance(encoder, GridEncoderConfig):
        return Tokenizers(_grid_reader(encoder), load_tokenizer(run.target_tokenizer))
    return Tokenizers(load_tokenizer(run.source_tokenizer), load_tokenizer(run.target_tokenizer))


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
    tokenizer.save(folder)
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


def build_loader(
    config: Config,
    corpora: Sequence[EncodedCorpus],
    batch_tokens: int | None,
    device: torch.device,
    shard: Shard = UNSHARDED,
) -> DataLoader:
    """The training batches.

    Args:
        config: the experiment.
        corpora: those that `encode_training` gives.
        batch_tokens: most tokens of a side in a batch; None: any.
        device: where the batches go.
        shard: of this process among those that share each update.
    """
    sampler = BatchSampler(
        [len(corpus) for corpus in corpora],
        seed=config.seed,
        weights=[corpus.weight for corpus in config.data.train],
        batch_tokens=batch_tokens,
        batch_sentences=config.training.batch_sentences,
    )
    return DataLoader(
        corpora,
        sampler,
        seed=config.seed,
        accumulate=config.training.accumulate,
        shard=shard,
        pin_memory=device.type == "cuda",
        num_processes=config.data.num_processes,
    )


def encode_training(
    config: Config, run: RunDirectory, tokenizers: Tokenizers
) -> list[EncodedCorpus]:
    """The training corpora, from the cache or put there; what the filters left out is logged.

    Raises:
        DataError: a corpus cannot be used.
    """
    data = config.data
    cache = run.cache if data.cache is None else Path(data.cache)
    filters = Filters(
        max_length=data.filters.max_length,
        max_length_ratio=data.filters.max_length_ratio,
        deduplicate=data.filters.deduplicate,
    )
    num_processes = _num_encoding_processes(config)
    source, target = tokenizers.source, tokenizers.target
    files = [build_corpus(corpus) for corpus in data.train]
    corpora = [
        encode_corpus(
            corpus,
            source,
            target,
            filters=filters,
            folder=cache,
            num_processes=num_processes,
            before=files[:number],
        )
        for number, corpus in enumerate(files)
    ]
    for corpus, encoded in zip(files, corpora, strict=True):
        logger.info("%s: %s", corpus, encoded.report)
    return corpora


def _num_encoding_processes(config: Config) -> int:
    if config.data.encoding_processes is not None:
        return config.data.encoding_processes
    if config.reads_grids:
        return 1  # to send grids to others takes longer than to encode them
    return min(num_cores(), _MOST_PROCESSES)


def build_search(
    config: DecodingConfig, tokenizer: Tokenizer, further_rules: Sequence[Rule] = ()
) -> Search:
    """How translations are looked for.

    Args:
        config: the options.
        tokenizer: of the target.
        further_rules: applied after those of the options.

    Raises:
        ConfigError: the options contradict each other.
    """
    scoring = Scoring(
        LENGTH_PENALTIES.create(config.length_penalty),
        COVERAGE_PENALTIES.create(config.coverage_penalty),
    )
    search: Search = SEARCHES.create(
        config.search,
        config.beam_size,
        config.num_candidates,
        scoring,
        Rules(
            _limits(config),
            [*_rules(config, tokenizer), *further_rules],
            allow_unknown=config.replace_unknown,
            word_edges=partial(_word_edges, tokenizer),
        ),
    )
    return search


# Of the top level, as workers get what they search with pickled.
def _word_edges(tokenizer: Tokenizer) -> torch.Tensor:
    return torch.from_numpy(tokenizer.word_edges)


def _spellings(tokenizer: Tokenizer) -> list[Spelling]:
    return tokenizer.spellings


def build_reranker(config: DecodingConfig, bleu_tokenizer: str = "auto") -> MinimumBayesRisk | None:
    """Return what chooses among the candidates of a search; None: the search itself.

    Args:
        config: the options.
        bleu_tokenizer: what BLEU counts as words; auto: by the script of the candidates.

    Raises:
        ConfigError: the tokenizer needs an extra that is not installed.
    """
    if config.mbr == "none":
        return None
    utility = UTILITIES[config.mbr](bleu_tokenizer)
    return MinimumBayesRisk(utility, config.n_best, are_samples=config.draws_samples)


def _limits(config: DecodingConfig) -> SearchLimits:
    return SearchLimits(
        min_length=config.min_length,
        max_length=config.max_length,
        min_length_ratio=config.min_length_ratio,
        max_length_ratio=config.max_length_ratio,
    )


def _rules(config: DecodingConfig, tokenizer: Tokenizer) -> Iterator[Rule]:
    if config.repetition_penalty > 1.0:
        yield RepetitionPenalty(config.repetition_penalty)
    if config.no_repeat_ngram_size > 0:
        yield NoRepeatedNgrams(config.no_repeat_ngram_size)
    forbidden = list(filter(None, map(tokenizer.normalizer, config.forbidden)))
    if forbidden:
        yield ForbiddenPhrases(forbidden, partial(_spellings, tokenizer))
    if config.eos_threshold is not None:
        yield EndThreshold(config.eos_threshold)

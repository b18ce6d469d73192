"""The one place that knows both the configuration and the parts: from options to objects."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from nmt.checkpoint import is_checkpoint, load_checkpoint
from nmt.config import (
    ALIGNMENTS,
    BRIDGES,
    CELLS,
    DECODERS,
    LENGTH_PENALTIES,
    SCORES,
    SEARCHES,
    TOKENIZERS,
    AttentionConfig,
    Config,
    CorpusConfig,
    DataConfig,
    DecodingConfig,
    EncoderConfig,
    GridEncoderConfig,
    ModelConfig,
    TokenizerConfig,
)
from nmt.config_file import load_config
from nmt.data.batching import BatchSampler
from nmt.data.cache import encode_corpus
from nmt.data.corpus import ParallelFiles, read_pairs
from nmt.data.encoded import EncodedCorpus
from nmt.data.filters import Filters
from nmt.data.grids import GridTokenizer, read_grids
from nmt.data.loader import DataLoader
from nmt.errors import RunError
from nmt.nn.attention.attention import Attention, BaseAttention
from nmt.nn.attention.fixed import FixedContext
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.decoder import Decoder, Layers
from nmt.nn.embedding import WordEmbedding
from nmt.nn.encoder import RecurrentEncoder
from nmt.nn.grid_encoder import GridEmbedding, GridEncoder
from nmt.nn.model import Model
from nmt.nn.recurrent import Cell
from nmt.registry import PlugIn
from nmt.run import BEST, RunDirectory
from nmt.search.search import Search, SearchLimits
from nmt.text.normalization import Normalizer
from nmt.text.tokenizer import Tokenizer, TokenizerTrainer
from nmt.text.tokenizers import load_tokenizer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tokenizers:
    """The tokenizers of both sides; one object where they share a vocabulary."""

    source: Tokenizer
    target: Tokenizer


def parallel_files(corpus: CorpusConfig) -> ParallelFiles:
    """Where a configured corpus is."""
    alignments = None if corpus.alignments is None else Path(corpus.alignments)
    if corpus.tsv is not None:
        return ParallelFiles(Path(corpus.tsv), alignments=alignments)
    if corpus.grids is not None and corpus.target is not None:
        return ParallelFiles(Path(corpus.grids), Path(corpus.target), read_source=read_grids)
    assert corpus.source is not None and corpus.target is not None
    return ParallelFiles(Path(corpus.source), Path(corpus.target), alignments)


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
        target = make(run.target_tokenizer, options.target_path, "the target", (1,))
        source = _grid_tokenizer(encoder)
        if not run.source_tokenizer.is_dir():
            source.save(run.source_tokenizer)
        return Tokenizers(source, target)
    return Tokenizers(
        make(run.source_tokenizer, options.source_path, "the source", (0,)),
        make(run.target_tokenizer, options.target_path, "the target", (1,)),
    )


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
        return Tokenizers(_grid_tokenizer(encoder), load_tokenizer(run.target_tokenizer))
    return Tokenizers(load_tokenizer(run.source_tokenizer), load_tokenizer(run.target_tokenizer))


def _grid_tokenizer(options: GridEncoderConfig) -> Tokenizer:
    return GridTokenizer(options.channels, options.max_rows, options.max_columns)


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
        tokenizer = load_tokenizer(Path(given))
    else:
        logger.info("training the %s tokenizer of %s", options.name, name)
        plugin = PlugIn(name=options.name, **(options.model_extra or {}))
        normalizer = Normalizer(options.normalization, options.lowercase)
        trainer: TokenizerTrainer = TOKENIZERS.create(plugin, normalizer)
        tokenizer = trainer.train(_lines(corpora, sides))
    tokenizer.save(folder)
    return tokenizer


def _lines(corpora: list[CorpusConfig], sides: tuple[int, ...]) -> Callable[[], Iterator[str]]:
    """The sentences of these sides of all corpora, to be read any number of times."""

    def read() -> Iterator[str]:
        for corpus in corpora:
            for pair in read_pairs(parallel_files(corpus)):
                yield from (pair[side] for side in sides)

    return read


def build_loader(
    config: Config, run: RunDirectory, tokenizers: Tokenizers, device: torch.device
) -> DataLoader:
    """The training batches; the corpora are encoded into the cache where they are not yet.

    Raises:
        DataError: a corpus cannot be used.
    """
    cache = run.cache if config.data.cache is None else Path(config.data.cache)
    corpora = _encode(config.data, tokenizers, cache)
    sampler = BatchSampler(
        [corpus.source_lengths for corpus in corpora],
        [corpus.target_lengths for corpus in corpora],
        seed=config.seed,
        weights=[corpus.weight for corpus in config.data.train],
        batch_tokens=config.training.batch_tokens,
        batch_sentences=config.training.batch_sentences,
    )
    return DataLoader(
        corpora,
        sampler,
        seed=config.seed,
        pin_memory=device.type == "cuda",
        num_processes=config.data.num_processes,
    )


def _encode(config: DataConfig, tokenizers: Tokenizers, cache: Path) -> list[EncodedCorpus]:
    """The training corpora, from the cache or put there; what the filters left out is logged."""
    filters = Filters(
        max_length=config.filters.max_length,
        max_length_ratio=config.filters.max_length_ratio,
        deduplicate=config.filters.deduplicate,
    )
    source, target = tokenizers.source, tokenizers.target
    corpora = [
        encode_corpus(parallel_files(corpus), source, target, filters=filters, folder=cache)
        for corpus in config.train
    ]
    for corpus, encoded in zip(config.train, corpora, strict=True):
        logger.info("%s: %s", parallel_files(corpus), encoded.report)
    return corpora


def build_search(config: DecodingConfig) -> Search:
    """How translations are looked for.

    Raises:
        ConfigError: the options contradict each other.
    """
    search: Search = SEARCHES.create(
        config.search,
        config.beam_size,
        config.n_best,
        LENGTH_PENALTIES.create(config.length_penalty),
        SearchLimits(config.min_length, config.max_length, config.max_length_ratio),
    )
    return search


def load_model(run: RunDirectory, checkpoint: str, device: torch.device) -> Model:
    """The model of a trained run, in evaluation mode.

    Args:
        run: where it is.
        checkpoint: best, last or step-N.
        device: where to put it.

    Raises:
        RunError: the checkpoint is missing, damaged, or of another configuration.
    """
    if (
        checkpoint == BEST
        and not is_checkpoint(run.checkpoint(BEST))
        and not run.checkpoint(BEST).exists()
    ):
        raise RunError(
            f"{run.path}: there is no best checkpoint, as the run was not validated yet: "
            "`nmt train CONFIG --resume` goes on with it, or use the checkpoint `last`, if any"
        )
    weights = load_checkpoint(run.checkpoint(checkpoint), ["model"]).tensors["model"]
    source, target = (f"{side}_embedding.table.weight" for side in ("source", "target"))
    try:
        model = build_model(
            load_config(run.config).model, len(weights.get(source, ())), len(weights[target])
        )
        model.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise RunError(
            f"{run.checkpoint(checkpoint)}: not a model of {run.config}: one of them comes from "
            "another run; bring back the one that belongs here"
        ) from error
    return model.to(device).eval()


def build_model(config: ModelConfig, source_size: int, target_size: int) -> Model:
    """A model with fresh parameters (drawn from torch's global generator).

    Args:
        config: the network.
        source_size: V of the source.
        target_size: V of the target.
    """
    size = config.embedding.size
    embed = partial(
        WordEmbedding,
        size=size,
        dropout=config.embedding.dropout,
        word_dropout=config.embedding.word_dropout,
    )
    target_embedding = embed(target_size)
    source_embedding: WordEmbedding | GridEmbedding
    encoder: RecurrentEncoder | GridEncoder
    if isinstance(config.encoder, GridEncoderConfig):
        source_embedding, encoder = _build_grid_encoder(config.encoder)
    else:
        tied = config.embedding.tie == "all"
        source_embedding = target_embedding if tied else embed(source_size)
        encoder = _build_recurrent_encoder(config.encoder, size)
    decoder = _build_decoder(config, size, encoder.output_size)
    bridge = BRIDGES.create(
        config.bridge, encoder.output_size, decoder.state_size, config.decoder.num_layers
    )
    return Model(
        source_embedding,
        target_embedding,
        encoder,
        bridge,
        decoder,
        size,
        output_dropout=config.decoder.output_dropout,
        tie_projection=config.embedding.tie != "none",
    )


def _build_recurrent_encoder(options: EncoderConfig, size: int) -> RecurrentEncoder:
    return RecurrentEncoder(
        partial(_make_cell, options.cell, options.hidden_size),
        size,
        num_layers=options.num_layers,
        bidirectional=options.bidirectional,
        dropout=options.dropout,
        recurrent_dropout=options.recurrent_dropout,
        residual=options.residual,
    )


def _build_grid_encoder(options: GridEncoderConfig) -> tuple[GridEmbedding, GridEncoder]:
    embedding = GridEmbedding(
        options.channels,
        options.hidden_size,
        max_rows=options.max_rows,
        max_columns=options.max_columns,
    )
    return embedding, GridEncoder(options.hidden_size, dropout=options.dropout)


def _build_decoder(config: ModelConfig, size: int, value_size: int) -> Decoder:
    """A decoder with words and output vectors of `size`, over a memory of `value_size`."""
    options = config.decoder
    decoder: Decoder = DECODERS.create(
        options.style,
        partial(_make_cell, options.cell, options.hidden_size),
        _build_attention(config.attention, options.hidden_size, value_size),
        size,
        value_size,
        size,
        Layers(options.num_layers, options.dropout, options.recurrent_dropout, options.residual),
    )
    return decoder


def _build_attention(
    config: AttentionConfig | None, query_size: int, value_size: int
) -> BaseAttention:
    if config is None:
        return FixedContext()
    make_head = partial(_make_head, config)
    if config.num_heads == 1:
        return make_head(query_size, value_size)
    return MultiHeadAttention(make_head, config.num_heads, query_size, value_size)


def _make_head(config: AttentionConfig, query_size: int, value_size: int) -> Attention:
    return Attention(
        SCORES.create(config.score, query_size, value_size),
        ALIGNMENTS.create(config.alignment, query_size),
    )


def _make_cell(plugin: PlugIn, hidden_size: int, input_size: int) -> Cell:
    cell: Cell = CELLS.create(plugin, input_size, hidden_size)
    return cell

"""Preparation of a training before its model is built: device, tokenizers and batches."""

import logging
from dataclasses import dataclass

import torch

from nmt.build.data import build_corpus, build_loader, encode_training
from nmt.build.lexicon import learn_lexicon
from nmt.build.metrics import (
    TEST_METRICS,
    build_metrics,
    find_bleu_tokenizer,
    warn_about_normalization,
)
from nmt.build.model import require_memory
from nmt.build.tokenizers import Tokenizers, build_tokenizers, load_tokenizers
from nmt.config.experiment import Config
from nmt.config.training import ValidationConfig
from nmt.core.errors import ConfigError
from nmt.data.batching import UNSHARDED, Shard
from nmt.data.duplicates import count_duplicates
from nmt.data.loader import DataLoader
from nmt.evaluation.bleu_tokenizers import AUTO
from nmt.inference.shortlist import save_lexicon
from nmt.runs.run import Run, RunDirectory
from nmt.system.device import resolve_device, resolve_precision
from nmt.text.normalization import Normalizer
from nmt.training.batch_size_probing import probe_batch_tokens
from nmt.training.fine_tuning import copy_pretrained_tokenizers, log_differences, open_base

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedData:
    """Device, tokenizers and data of a training; slow to prepare, so prepared only once.

    Attributes:
        device: the device to train on.
        precision: dtype of the computation.
        tokenizers: the tokenizers of both sides.
        loader: loader of the training batches.
        batch_tokens: maximum number of tokens per side of a batch; None: no limit.
        bleu_tokenizer: sacreBLEU tokenizer; auto: depends on the text that is scored.
        base: the run whose weights a new run starts with; None: random or restored weights.
    """

    device: torch.device
    precision: torch.dtype
    tokenizers: Tokenizers
    loader: DataLoader
    batch_tokens: int | None
    bleu_tokenizer: str = AUTO
    base: Run | None = None


def prepare_data(
    config: Config, run: RunDirectory, *, shard: Shard = UNSHARDED, is_begun: bool = False
) -> PreparedData:
    """Prepare the data of a training; missing tokenizers and encoded corpora are made.

    Args:
        config: the experiment.
        run: holds the tokenizers, and the encoded corpora unless `data.cache` is set.
        shard: the share of this process in a distributed training.
        is_begun: the run already has trained weights, so its tokenizers must exist.

    Raises:
        UserError: this machine lacks the device or the precision, or the text cannot be used.
    """
    device = resolve_device(config.device)
    precision = _resolve_precision(config, device)
    if is_begun:
        base, tokenizers = None, load_tokenizers(Run.open(run.path))
    else:
        base = open_base(config)
        tokenizers = make_tokenizers(config, run, base)
    copies = 2 if config.training.ema_decay is None else 3
    require_memory(config.model, *tokenizers.sizes, device, copies)
    if not is_begun:
        if base is not None:
            log_differences(config, base, tokenizers)
        warn_about_references(config, tokenizers.target.normalizer)
        if shard.rank == 0:  # involves no communication with other ranks
            warn_about_duplicates(config)
            warn_about_case(config)
    corpora = encode_training(config, run, tokenizers.source, tokenizers.target)
    if config.decoding.shortlist is not None and not run.lexicon.exists():
        logger.info("learning the lexicon for decoding.shortlist")
        save_lexicon(run, learn_lexicon(corpora, tokenizers), tokenizers)
    batch_tokens = config.training.batch_tokens
    if batch_tokens == "auto":
        num_processes = min(shard.ranks_per_batch(config.training.accumulate))
        batch_tokens = probe_batch_tokens(
            config, corpora, tokenizers, device, precision, num_processes=num_processes
        )
    loader = build_loader(config, corpora, batch_tokens, device, shard)
    return PreparedData(
        device, precision, tokenizers, loader, batch_tokens, _bleu_tokenizer(config), base
    )


def _resolve_precision(config: Config, device: torch.device) -> torch.dtype:
    precision = resolve_precision(config.precision, device)
    if precision == torch.int8:
        raise ConfigError(
            "precision: 'int8' is only supported for translation; train in float32, bfloat16 or "
            "auto, and translate with --precision int8"
        )
    return precision


def resolve_auto(config: Config, data: PreparedData) -> Config:
    """Return the configuration with the resolved value of each option that is auto.

    An unset Unicode normal form is taken from the tokenizers, which may have an older default.
    """
    form = data.tokenizers.target.normalizer.normalization
    validation = config.training.validation.with_tokenizer(data.bleu_tokenizer)
    return _with_resolved(config, data.batch_tokens, validation, form)


def resolve_auto_from(config: Config, before: Config) -> Config:
    """Return the configuration with the auto options resolved as in the run's configuration."""
    validation = config.training.validation.with_tokenizers_of(before.training.validation)
    form = before.tokenizer.normalization
    return _with_resolved(config, before.training.batch_tokens, validation, form)


def _with_resolved(
    config: Config, batch_tokens: int | str | None, validation: ValidationConfig, normalization: str
) -> Config:
    training, tokenizer = config.training, config.tokenizer
    found: dict[str, object] = {"validation": validation}
    if training.batch_tokens == "auto" and batch_tokens is not None:
        found["batch_tokens"] = batch_tokens
    if "normalization" not in tokenizer.model_fields_set:
        tokenizer = tokenizer.model_copy(update={"normalization": normalization})
    training = training.model_copy(update=found)
    return config.model_copy(update={"training": training, "tokenizer": tokenizer})


def _bleu_tokenizer(config: Config) -> str:
    """Return the sacreBLEU tokenizer, and log it if it was chosen by the references."""
    found = find_bleu_tokenizer(config)
    if config.training.validation.with_tokenizer(found) != config.training.validation:
        logger.info(
            f"BLEU uses sacreBLEU's tokenizer {found}, chosen by the script of the validation "
            "references; to choose another, set training.validation.metrics=[{name: bleu, "
            "tokenize: ...}]"
        )
    return found


def make_tokenizers(config: Config, run: RunDirectory, base: Run | None) -> Tokenizers:
    """Return the tokenizers of a new run: those of the base run, or new ones.

    Raises:
        UserError: the text, a saved tokenizer or the base run cannot be used.
    """
    if base is not None:
        return copy_pretrained_tokenizers(config, run, base)
    return build_tokenizers(config, run)


def warn_about_references(config: Config, normalizer: Normalizer) -> None:
    """Warn about validation and test references that the model cannot generate.

    Args:
        config: the experiment.
        normalizer: the normalizer of the target tokenizer.

    Raises:
        DataError: a corpus cannot be read.
    """
    validation = config.training.validation
    metrics = build_metrics(validation.metrics)
    on_test = [*metrics, *build_metrics(map(validation.find_metric, TEST_METRICS))]
    for key, corpus in config.data.held_out():
        measured = on_test if key == "data.test" else metrics
        if measured:
            references = [target for _, target in build_corpus(corpus).read_pairs()]
            warn_about_normalization(key, references, normalizer, measured)


def warn_about_duplicates(config: Config) -> None:
    """Warn about held-out pairs that are also training pairs; log duplicate training pairs.

    Raises:
        DataError: a corpus cannot be read.
    """
    data = config.data
    held_out = {key: build_corpus(corpus) for key, corpus in data.held_out()}
    training = [build_corpus(corpus) for corpus in data.train]
    repeats = count_duplicates(training, list(held_out.values()))
    if repeats.num_duplicates and not data.filters.deduplicate:
        logger.info(
            f"data.train: {repeats.num_duplicates:,} of {repeats.num_training:,} pairs are "
            "duplicates; remove them with data.filters.deduplicate: true"
        )
    for key, (size, num_known) in zip(held_out, repeats.held_out, strict=True):
        if num_known:
            logger.warning(
                f"{key}: {num_known:,} of {size:,} pairs ({100 * num_known / size:.1f}%) are also "
                "training pairs, so its scores are too high; remove them from one of the corpora"
            )


def warn_about_case(config: Config) -> None:
    """Warn if a case-sensitive metric controls the training of a model of lowercased text.

    Raises:
        DataError: the validation set cannot be read.
    """
    training, corpus = config.training, config.data.valid
    if corpus is None or not config.tokenizer.lowercase:
        return
    if all(target == target.lower() for _, target in build_corpus(corpus).read_pairs()):
        return
    steering = {"training.validation.best": training.validation.best}
    if training.early_stopping is not None:
        steering["training.early_stopping.metric"] = training.early_stopping.metric
    for key, label in steering.items():
        named = [] if label == "loss" else [training.validation.find_metric(label)]
        if any(not metric.ignores_case for metric in build_metrics(named)):
            logger.warning(
                f"{key}: {label} is case-sensitive, but tokenizer.lowercase: true gives lowercase "
                "output; set it to bleu_lc (listed in training.validation.metrics) or loss"
            )

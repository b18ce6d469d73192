"""Warnings about data that trains, but with misleading figures."""

import logging

from nmt.build.data import build_corpus
from nmt.build.metrics import TEST_METRICS, build_metrics, warn_about_normalization
from nmt.config.experiment import Config
from nmt.data.duplicates import count_duplicates
from nmt.data.formats.corpus import read_pairs
from nmt.text.tokenizer import Normalizer

logger = logging.getLogger(__name__)


def warn_about_duplicates(config: Config) -> None:
    """Warn of validation and test pairs that are training pairs; log how many repeat each other.

    Raises:
        DataError: a corpus cannot be read.
    """
    data = config.data
    named = [
        (key, it) for key, it in (("valid", data.valid), ("test", data.test)) if it is not None
    ]
    held_out = [build_corpus(corpus) for _, corpus in named]
    repeats = count_duplicates([build_corpus(corpus) for corpus in data.train], held_out)
    if repeats.num_duplicates and not data.filters.deduplicate:
        logger.info(
            "data.train: %s of %s pairs repeat another one; data.filters.deduplicate: true leaves "
            "them out",
            *(f"{repeats.num_duplicates:,}", f"{repeats.num_training:,}"),
        )
    for (key, _), (size, num_known) in zip(named, repeats.held_out, strict=True):
        if num_known:
            logger.warning(
                "data.%s: %s of %s pairs (%.1f%%) are training pairs as well, so that its scores "
                "are too good; take them out of one of the two",
                *(key, f"{num_known:,}", f"{size:,}", 100 * num_known / size),
            )


def warn_about_case(config: Config) -> None:
    """Warn of a metric that counts case and steers the training of a model that writes none.

    Raises:
        DataError: the validation set cannot be read.
    """
    training, corpus = config.training, config.data.valid
    if corpus is None or not config.tokenizer.lowercase:
        return
    if all(target == target.lower() for _, target in read_pairs(build_corpus(corpus))):
        return
    steering = {"training.validation.best": training.validation.best}
    if training.early_stopping is not None:
        steering["training.early_stopping.metric"] = training.early_stopping.metric
    for key, label in steering.items():
        named = [] if label == "loss" else [training.validation.find_metric(label)]
        if any(not metric.ignores_case for metric in build_metrics(named)):
            logger.warning(
                "%s: %s counts case, and with tokenizer.lowercase: true the model writes none; set "
                "it to bleu_lc (listed in training.validation.metrics) or loss",
                *(key, label),
            )


def warn_about_references(config: Config, normalizer: Normalizer) -> None:
    """Warn of references that the model cannot write, in the sets that it is measured on.

    Args:
        config: the experiment.
        normalizer: of the target tokenizer.

    Raises:
        DataError: a corpus cannot be read.
    """
    validation = config.training.validation
    metrics = build_metrics(validation.metrics)
    on_test = [*metrics, *build_metrics(map(validation.find_metric, TEST_METRICS))]
    for key, corpus, measured in (
        ("data.valid", config.data.valid, metrics),
        ("data.test", config.data.test, on_test),
    ):
        if corpus is not None and measured:
            references = [target for _, target in read_pairs(build_corpus(corpus))]
            warn_about_normalization(key, references, normalizer, measured)

"""Construction of metrics from options, and choice of the BLEU tokenizer for the references."""

import logging
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

from nmt.build.data import build_corpus
from nmt.config.experiment import Config
from nmt.config.registry import METRICS
from nmt.config.training import MetricConfig
from nmt.core.errors import ConfigError
from nmt.evaluation.bleu_tokenizers import choose_tokenizer
from nmt.evaluation.metric import Metric, to_nfc
from nmt.text.normalization import Normalizer

# Metrics of the test set, besides those of validation.
TEST_METRICS: Final = ("bleu", "chrf")

logger = logging.getLogger(__name__)


def build_metrics(metrics: Iterable[MetricConfig]) -> list[Metric]:
    """Return the metrics that these options describe.

    Raises:
        ConfigError: a tokenizer needs an extra that is not installed.
    """
    built = []
    for metric in metrics:
        try:
            built.append(METRICS.create(metric, metric.label))
        except ConfigError as error:
            raise ConfigError(f"metric {metric.label}: {error}") from None
    return built


def find_bleu_tokenizer(config: Config) -> str:
    """Return the run's BLEU tokenizer; if none is set, choose it by the validation references.

    The result is ``auto`` if there are no references, or no metric has a tokenizer.

    Raises:
        DataError: the validation set cannot be read.
    """
    validation = config.training.validation
    is_open = any(metric.options.get("tokenize") == "auto" for metric in validation.metrics)
    if not is_open or config.data.valid is None:
        return validation.bleu_tokenizer
    return choose_tokenizer(target for _, target in build_corpus(config.data.valid).read_pairs())


def warn_about_normalization(
    name: str, references: Sequence[str], normalizer: Normalizer, metrics: Sequence[Metric]
) -> None:
    """Warn if normalization makes references unreachable for the model, which lowers the score.

    Args:
        name: name of the references, for the message.
        references: the reference of each sentence.
        normalizer: the normalizer of the target tokenizer.
        metrics: the metrics; case differences count only if a metric is case-sensitive.
    """
    ignore_case = all(metric.ignores_case for metric in metrics)
    changes = (first_changed_word(normalizer, line, ignore_case) for line in references)
    found = [change for change in changes if change is not None]
    if found:
        (before, after), lowercase = found[0], str(normalizer.lowercase).lower()
        logger.warning(
            f"{name}: the model cannot write {len(found):,} of {len(references):,} references "
            f"exactly, which lowers the score: its tokenizer changes {before!r} to {after!r} "
            f"(normalization: {normalizer.normalization}, lowercase: {lowercase}); train with "
            "tokenizer.normalization=nfc and tokenizer.lowercase=false, or change the references "
            "in the same way"
        )


def first_changed_word(
    normalizer: Normalizer, text: str, ignore_case: bool = False
) -> tuple[str, str] | None:
    """Return the first word that normalization changes, and the new word; None: none changes.

    Canonically equivalent words are equal.
    """
    before, after = to_nfc([text, normalizer(text)])
    if ignore_case:
        before, after = before.lower(), after.lower()
    pairs = zip_longest(before.split(), after.split(), fillvalue="")
    return next((pair for pair in pairs if pair[0] != pair[1]), None)

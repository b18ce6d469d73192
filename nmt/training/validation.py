"""Validation of the model: loss, perplexity, and metrics of its translations."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from nmt.build.data import build_corpus
from nmt.build.metrics import build_metrics
from nmt.config.experiment import Config
from nmt.config.tree import diff
from nmt.data.formats.grids import Source
from nmt.distributed.process_group import ProcessGroup
from nmt.distributed.rank_pool import RankPool
from nmt.evaluation.metric import Metric, Score
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.forced_decoding import perplexity
from nmt.inference.loading import (
    build_reranker,
    build_search,
    choose_batch_tokens,
    load_dictionary,
    load_shortlist,
)
from nmt.inference.translator import Translator
from nmt.nn.model import Model
from nmt.runs.run import RunDirectory
from nmt.training.prepare_data import PreparedData
from nmt.training.signals import Interrupted, Interruption

Result = TypeVar("Result")

# Decoding options that `training.validation.beam_size` overrides or affects.
_SEARCH: Final = {"search", "beam_size", "n_best", "mbr"}


@dataclass(frozen=True)
class Sample:
    """One translation for the log."""

    source: Source
    reference: str
    translation: str

    def __str__(self) -> str:
        return (
            f"  source: {self.source}\n  reference: {self.reference}\n  model: {self.translation}"
        )


@dataclass(frozen=True)
class Validation:
    """The result of a validation.

    Attributes:
        loss: negative log-likelihood per token, in nats, without smoothing.
        scores: one score for each metric.
        samples: translations to log.
        translations: translations of all sources, in order; empty without metrics.
    """

    loss: float
    scores: list[Score]
    samples: list[Sample]
    translations: list[str] = field(default_factory=list)

    @property
    def perplexity(self) -> float:
        """Return the perplexity per token, ``exp(loss)``."""
        return perplexity(self.loss)

    def value(self, name: str) -> float:
        """Return the loss (`"loss"`), or the value of a metric by its name."""
        return {"loss": self.loss, **self.as_dict()}[name]

    def as_dict(self) -> dict[str, float]:
        """Return the scores by their names."""
        return {score.name: score.value for score in self.scores}

    def __str__(self) -> str:
        scores = "".join(f", {score.name} {score.value:.2f}" for score in self.scores)
        return f"loss {self.loss:.4f}, perplexity {self.perplexity:.2f}{scores}"


@dataclass(frozen=True, eq=False)
class Validator:
    """Validation of a translator on sentence pairs.

    Attributes:
        translator: holds the model being trained, and the search for validation.
        pairs: sources and references.
        metrics: metrics of the translations; if empty, only the samples are translated.
        num_samples: number of translations to log, spread evenly over the pairs.
        group: the processes that compute the validation, all with the same weights.
    """

    translator: Translator
    pairs: Sequence[tuple[Source, str]]
    metrics: Sequence[Metric]
    num_samples: int
    group: ProcessGroup

    def __call__(self, interruption: Interruption) -> Validation:
        """Validate the model.

        Raises:
            Interrupted: soon after a stop was requested.
        """
        return on_all_ranks(
            self.group, self.translator, interruption, partial(self._measure, interruption)
        )

    def _measure(self, interruption: Interruption, translator: Translator) -> Validation:
        loss = self._loss(interruption, translator)
        num_samples = min(self.num_samples, len(self.pairs))
        sampled = [index * len(self.pairs) // num_samples for index in range(num_samples)]
        wanted = range(len(self.pairs)) if self.metrics else sampled
        sources = [self.pairs[index][0] for index in wanted]
        texts = dict(zip(wanted, translate_lines(translator, sources, interruption), strict=True))
        references = [reference for _, reference in self.pairs]
        return Validation(
            loss=loss,
            scores=[metric(list(texts.values()), references) for metric in self.metrics],
            samples=[Sample(*self.pairs[index], texts[index]) for index in sampled],
            translations=list(texts.values()) if self.metrics else [],
        )

    def _loss(self, interruption: Interruption, translator: Translator) -> float:
        log_probability, num_tokens = 0.0, 0
        for sentence in translator.score(self.pairs):
            log_probability += sentence.log_probability
            num_tokens += sentence.num_tokens
            interruption.check()
        return -log_probability / num_tokens


def build_validator(
    config: Config, run: RunDirectory, model: Model, data: PreparedData, group: ProcessGroup
) -> Validator | None:
    """Return the validator of a model; None: there is no validation set.

    Args:
        config: the experiment.
        run: its folder, with the lexicon if `decoding.shortlist` is set.
        model: the model being trained.
        data: tokenizers, device and precision.
        group: the processes that train together.

    Raises:
        UserError: the validation set, the dictionary or the lexicon cannot be used.
    """
    if config.data.valid is None:
        return None
    options, decoding = config.training.validation, config.validation_decoding
    tokenizers = data.tokenizers
    search = build_search(decoding, tokenizers.target)
    shortlist = load_shortlist(decoding, run, tokenizers)
    batch_tokens = choose_batch_tokens(decoding, data.device)
    runner = BatchRunner(
        model, search, data.device, data.precision, batch_tokens, shortlist=shortlist
    )
    translator = Translator(
        runner,
        source_reader=tokenizers.source,
        target_tokenizer=tokenizers.target,
        max_source_length=decoding.max_source_length,
        reranker=build_reranker(decoding, options.bleu_tokenizer),
        dictionary=load_dictionary(decoding),
    )
    pairs = list(build_corpus(config.data.valid).read_pairs())
    metrics = build_metrics(options.metrics)
    return Validator(translator, pairs, metrics, options.num_samples, group)


def describe_search(config: Config) -> str | None:
    """Describe how the search of validation differs from `nmt translate`; None: not at all."""
    if config.data.valid is None or not config.training.validation.metrics:
        return None
    both = (config.decoding, config.validation_decoding)
    changed = diff(*(it.model_dump(mode="json", include=_SEARCH) for it in both))
    if not changed:
        return None
    listed = ", ".join(f"decoding.{key}: {change}" for key, change in changed.items())
    return (
        f"validation searches faster than `nmt translate` (training.validation.beam_size): {listed}"
    )


def translate_lines(
    translator: Translator, lines: Sequence[Source], interruption: Interruption
) -> list[str]:
    """Return the best translation of each line.

    Raises:
        Interrupted: soon after a stop was requested.
    """
    windows = translator.translate_windows(lines, report=lambda _: interruption.check())
    return [translation.text for window in windows for _, translation in window]


def on_all_ranks(
    group: ProcessGroup,
    translator: Translator,
    interruption: Interruption,
    measure: Callable[[Translator], Result],
) -> Result:
    """Return the result of `measure` in the first process, with batches shared by all processes.

    Args:
        group: the processes.
        translator: translator of this process; the same in all processes.
        interruption: requests to stop this process; only those of the first process count.
        measure: called in the first process with a translator.

    Raises:
        Interrupted: in all processes, soon after the first process received a signal.
    """
    if group.size == 1:
        return measure(translator)
    ranks = RankPool(translator.runner, group)
    found = None
    if group.is_first:
        shared = replace(translator.runner, ranks=ranks)
        with suppress(Interrupted):
            found = measure(replace(translator, runner=shared))
        ranks.release()
    else:
        ranks.serve()
    found, signal = group.broadcast((found, interruption.signal))
    if signal is not None:  # signals of other processes are handled at the next update
        interruption.signal = signal
        raise Interrupted
    assert found is not None
    return found

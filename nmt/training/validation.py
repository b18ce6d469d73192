"""How good the model is now: loss, perplexity, and the scores of its translations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nmt.data.grids import Source
from nmt.metrics import Metric, Score
from nmt.search.hypothesis import Hypothesis
from nmt.search.request import Request
from nmt.search.search import Search, State, Stepper
from nmt.teacher_forcing import perplexity
from nmt.training.signals import Interruption
from nmt.translation import Translator


@dataclass(frozen=True)
class Sample:
    """One translation for the log."""

    source: Source
    reference: str
    translation: str

    def __str__(self) -> str:
        return f"  source: {self.source}\n  reference: {self.reference}\n  now: {self.translation}"


@dataclass(frozen=True)
class Validation:
    """The result of a validation.

    Attributes:
        loss: negative log-likelihood of a token, in nats, without smoothing.
        scores: one for each metric.
        samples: translations to look at.
    """

    loss: float
    scores: list[Score]
    samples: list[Sample]

    @property
    def perplexity(self) -> float:
        """``exp(loss)`` of a token."""
        return perplexity(self.loss)

    def value(self, name: str) -> float:
        """`loss`, or the value of a metric by its name."""
        return {"loss": self.loss, **self.as_dict()}[name]

    def as_dict(self) -> dict[str, float]:
        """The scores by their names."""
        return {score.name: score.value for score in self.scores}

    def __str__(self) -> str:
        scores = "".join(f", {score.name} {score.value:.2f}" for score in self.scores)
        return f"loss {self.loss:.4f}, perplexity {self.perplexity:.2f}{scores}"


class Validator:
    """Measures a translator on sentence pairs.

    Args:
        translator: holds the model that is trained, and the search for validation.
        pairs: sources and references.
        metrics: of the translations; may be empty, then only the samples are translated.
        num_samples: how many translations to show, spread over the pairs.
    """

    def __init__(
        self,
        translator: Translator,
        pairs: Sequence[tuple[Source, str]],
        metrics: Sequence[Metric],
        num_samples: int,
    ) -> None:
        self._translator = translator
        self._pairs = list(pairs)
        self._metrics = list(metrics)
        num_samples = min(num_samples, len(self._pairs))
        self._sampled = [index * len(self._pairs) // num_samples for index in range(num_samples)]

    def __call__(self, interruption: Interruption) -> Validation:
        """Measure; raises `Interrupted` soon after somebody asked for an end."""
        loss = self._loss(interruption)
        wanted = range(len(self._pairs)) if self._metrics else self._sampled
        sources = [self._pairs[index][0] for index in wanted]
        texts = dict(
            zip(wanted, translate_lines(self._translator, sources, interruption), strict=True)
        )
        references = [reference for _, reference in self._pairs]
        return Validation(
            loss=loss,
            scores=[metric(list(texts.values()), references) for metric in self._metrics],
            samples=[Sample(*self._pairs[index], texts[index]) for index in self._sampled],
        )

    def _loss(self, interruption: Interruption) -> float:
        log_probability, num_tokens = 0.0, 0
        for sentence in self._translator.score(self._pairs):
            log_probability += sentence.log_probability
            num_tokens += sentence.num_tokens
            interruption.check()
        return -log_probability / num_tokens


def translate_lines(
    translator: Translator, lines: Sequence[Source], interruption: Interruption
) -> list[str]:
    """The best translation of each line; raises `Interrupted` soon after an end is asked for."""
    search = _Breakable(translator.inference.search, interruption)
    breakable = replace(translator, inference=replace(translator.inference, search=search))
    return [translation.text for translation in breakable.translate(lines)]


class _Breakable(Search):
    """A search that is broken off between two batches where an end is asked for."""

    def __init__(self, search: Search, interruption: Interruption) -> None:
        super().__init__(search.beam_size, search.n_best, search.scoring, search.rules)
        self._search = search
        self._interruption = interruption

    def __call__(
        self, model: Stepper[State], state: State, request: Request
    ) -> list[list[Hypothesis]]:
        self._interruption.check()
        return self._search(model, state, request)

"""Options of translating with a trained model."""

from typing import Annotated, Literal

from pydantic import Field

from nmt.config.messages import refuse
from nmt.config.registry import COVERAGE_PENALTIES, LENGTH_PENALTIES, SEARCHES, Options, PlugIn
from nmt.config.values import (
    NumCandidates,
    NumTokens,
    PathText,
    Positive,
    PositiveStrength,
    Size,
    Strength,
    Text,
)


class ShortlistConfig(Options):
    """Vocabulary shortlist of each sentence; tokens of forced target text are always included.

    Attributes:
        candidates: Most probable target tokens of each source token; the run's lexicon holds 64.
        frequent: Number of the most frequent target tokens, which are in every shortlist.
    """

    candidates: Annotated[int, Field(ge=1, le=64)] = 16
    frequent: Positive = 200


class DecodingConfig(Options):
    """Options of translating with a trained model.

    Attributes:
        search: Search algorithm.
        beam_size: Hypotheses kept at each step (1: greedy search).
        n_best: Translations per sentence; in beam search at most `beam_size`.
        length_penalty: Length normalization of the log-probability, so that scores do not favour
            short translations.
        coverage_penalty: Penalty on the score for source words that are left out or translated
            twice.
        min_length: Minimum length of a translation in tokens, without EOS.
        max_length: Maximum length of a translation in tokens, without EOS.
        min_length_ratio: Minimum number of target tokens per source token.
        max_length_ratio: Maximum length of a translation: this factor times the source tokens,
            plus 10; null: no limit.
        no_repeat_ngram_size: Length of n-grams that may not be repeated (Paulus 2018); 0: off.
        repetition_penalty: Factor on the log-probability of tokens already generated (Keskar 2019);
            1: off.
        eos_threshold: Allow EOS only if its log-probability exceeds this factor times the best of
            the other tokens (Hannun 2019); null: always.
        forbidden: Phrases that must not be generated. Each is compared as the tokens that the
            tokenizer splits it into: other tokenizations of the same text are allowed, and longer
            words that begin with these tokens are not.
        replace_unknown: Allow unknown words in the output, and replace each with the source word
            that it attends to most.
        dictionary: TSV file of source words and translations, to replace unknown words with; null:
            copy the source word.
        shortlist: Vocabulary shortlist: score only a few hundred tokens per sentence (needs `nmt
            lexicon`); null: the whole vocabulary.
        mbr: Utility of minimum Bayes risk decoding, which chooses the candidates most similar to
            all others; none: off. bleu uses the tokenizer of the run's metrics.
        mbr_candidates: Number of candidates for `mbr`. Samples count equally; those of a beam are
            weighted by their probability.
        batch_tokens: Maximum number of source tokens in a batch, with padding; fewer for beams of
            more than 10. On a CPU, where threads each compute a batch, at most 1,000, or 2,000 for
            greedy search.
        max_source_length: Maximum length of a source in tokens (for grids: cells); the rest is cut,
            with a warning.
    """

    search: Annotated[PlugIn, SEARCHES] = PlugIn(name="beam")
    beam_size: NumCandidates = 5
    n_best: NumCandidates = 1
    length_penalty: Annotated[PlugIn, LENGTH_PENALTIES] = PlugIn(name="average")
    coverage_penalty: Annotated[PlugIn, COVERAGE_PENALTIES] = PlugIn(name="none")
    min_length: Annotated[int, Field(ge=0, le=10_000)] = 0
    max_length: Annotated[int, Field(ge=1, le=10_000)] = 250
    min_length_ratio: Strength = 0.0
    max_length_ratio: PositiveStrength | None = 3.0
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    repetition_penalty: Annotated[float, Field(ge=1.0, le=1_000.0)] = 1.0
    eos_threshold: PositiveStrength | None = None
    forbidden: list[Annotated[Text, Field(max_length=1_000)]] = Field(
        default=[], examples=[["a phrase"]]
    )
    replace_unknown: bool = False
    dictionary: PathText | None = None
    shortlist: ShortlistConfig | None = None
    mbr: Literal["none", "chrf", "bleu"] = "none"
    mbr_candidates: NumCandidates = 32
    batch_tokens: NumTokens = 4_000
    max_source_length: Size = 1_000

    @property
    def draws_samples(self) -> bool:
        """Return whether the search samples its translations independently."""
        return bool(SEARCHES.find(self.search.name).draws_samples)

    @property
    def has_beam(self) -> bool:
        """Return whether the search uses `beam_size`."""
        return bool(SEARCHES.find(self.search.name).has_beam)

    @property
    def num_candidates(self) -> int:
        """Return the number of translations that the search must find per sentence."""
        return self.n_best if self.mbr == "none" else self.mbr_candidates

    def with_beam(self, size: int) -> "DecodingConfig":
        """Return the options for a quick beam search that finds one translation of a sentence.

        All other options are kept. Penalties cannot change the result of greedy search, so a beam
        of 1 drops them.

        Args:
            size: beam size; 1 is greedy search.
        """
        search = self.search if self.search.name == "beam" else PlugIn(name="beam")
        changed: dict[str, object] = {"search": search, "beam_size": size, "n_best": 1}
        if size == 1:
            no_penalty = PlugIn(name="none")
            changed |= {"length_penalty": no_penalty, "coverage_penalty": no_penalty}
        return self.model_copy(update=changed | {"mbr": "none"})

    def _check(self) -> None:
        if self.dictionary is not None and not self.replace_unknown:
            refuse("dictionary", "needs replace_unknown: true; set that too")
        if self.shortlist is not None and self.draws_samples:
            refuse("shortlist", f"is not supported with {self.search.name}; leave it out")
        if self.mbr != "none" and not self.has_beam and not self.draws_samples:
            sentence = (
                f"needs several translations, and {self.search.name} search finds one; set search "
                "to sampling, beam or diverse_beam"
            )
            refuse("mbr", sentence)
        if self.mbr != "none" and self.n_best > self.mbr_candidates:
            sentence = f"must be at most mbr_candidates ({self.mbr_candidates}), not {self.n_best}"
            refuse("n_best", sentence)
        if self.num_candidates > self.beam_size and not self.draws_samples:
            most = f"at most beam_size ({self.beam_size})"
            if self.mbr == "none":
                refuse("n_best", f"must be {most}, not {self.n_best}")
            sentence = (
                f"needs mbr_candidates ({self.mbr_candidates}) translations, but a beam finds "
                f"{most}; set search to sampling, or one of these numbers to the other"
            )
            refuse("mbr", sentence)
        if self.min_length > self.max_length:
            sentence = f"must be at most max_length ({self.max_length}), not {self.min_length}"
            refuse("min_length", sentence)

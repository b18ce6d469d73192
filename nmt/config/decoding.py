"""How a trained model translates."""

from typing import Annotated, Literal

from pydantic import Field

from nmt.config.messages import refuse
from nmt.config.registry import (
    COVERAGE_PENALTIES,
    LENGTH_PENALTIES,
    SEARCHES,
    NumCandidates,
    NumTokens,
    Options,
    PathText,
    PlugIn,
    Positive,
    PositiveStrength,
    Size,
    Strength,
    Text,
)


class ShortlistConfig(Options):
    """Of which tokens a translation may be made; all that is asked of it may be in it, too."""

    candidates: Annotated[int, Field(ge=1, le=64)] = 16
    """Target tokens for each source token: the most probable of the run's lexicon, which has 64."""
    frequent: Positive = 200
    """Most frequent target tokens."""


class DecodingConfig(Options):
    """How a trained model translates."""

    search: Annotated[PlugIn, SEARCHES] = PlugIn(name="beam")
    """How the best translation is looked for."""
    beam_size: NumCandidates = 5
    """Hypotheses kept at each step (1 is greedy)."""
    n_best: NumCandidates = 1
    """Translations for each sentence; at most `beam_size`, where there is a beam."""
    length_penalty: Annotated[PlugIn, LENGTH_PENALTIES] = PlugIn(name="average")
    """How the log-probability becomes a score that is fair to long translations."""
    coverage_penalty: Annotated[PlugIn, COVERAGE_PENALTIES] = PlugIn(name="none")
    """What is taken from the score for source words that were left out, or said twice."""
    min_length: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Fewest tokens of a translation, EOS not counted."""
    max_length: Annotated[int, Field(ge=1, le=10_000)] = 250
    """Most tokens of a translation, EOS not counted."""
    min_length_ratio: Strength = 0.0
    """Fewest tokens for each source token."""
    max_length_ratio: PositiveStrength | None = 3.0
    """Most tokens for each source token (10 more are granted); null: any."""
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """No n tokens in a row come twice (Paulus 2018); 0: they may."""
    repetition_penalty: Annotated[float, Field(ge=1.0, le=1_000.0)] = 1.0
    """Times its log-probability that a token counts once it is there (Keskar 2019); 1: as it is."""
    eos_threshold: PositiveStrength | None = None
    """EOS only where its log-probability is above that of all else times this (Hannun 2019)."""
    forbidden: list[Annotated[Text, Field(max_length=1_000)]] = Field(
        default=[], examples=[["a phrase"]]
    )
    """Phrases never to be generated: the tokens that the tokenizer makes of each. The same text in
    other tokens is allowed, and longer words that begin with these tokens are not."""
    replace_unknown: bool = False
    """Write unknown words too, and put the source words in their place that they looked at most."""
    dictionary: PathText | None = None
    """File of what source words become there, a line each: word, tab, translation; null: copy."""
    shortlist: ShortlistConfig | None = None
    """Compute only a few hundred tokens for a sentence (`nmt lexicon`); null: all."""
    mbr: Literal["none", "chrf", "bleu"] = "none"
    """Of several candidates take those that are most like all of them (minimum Bayes risk); bleu
    counts the words that the run's metrics count."""
    mbr_candidates: NumCandidates = 32
    """How many the search finds for it: samples, all alike; of a beam by their probability."""
    batch_tokens: NumTokens = 4_000
    """Most source tokens translated at once, padding counted; fewer for beams of more than 10."""
    max_source_length: Size = 1_000
    """Tokens of a line, or cells of a grid, that are read; the rest is cut, with a warning."""

    @property
    def draws_samples(self) -> bool:
        """Whether the search draws each of several translations by itself."""
        return bool(SEARCHES.classes[self.search.name].draws_samples)

    @property
    def has_beam(self) -> bool:
        """Whether `beam_size` means anything to the search."""
        return bool(SEARCHES.classes[self.search.name].has_beam)

    @property
    def num_candidates(self) -> int:
        """Translations of each sentence that the search is to find."""
        return self.n_best if self.mbr == "none" else self.mbr_candidates

    def with_beam(self, size: int) -> "DecodingConfig":
        """Return the options for a quick beam search that finds one translation of a sentence.

        All other options are kept. With a beam of 1 no penalty changes what is found, so that it
        has none.

        Args:
            size: of the beam; 1 is greedy search.
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
            sentence = f"{self.search.name} draws from the whole vocabulary; leave it out"
            refuse("shortlist", sentence)
        if self.mbr != "none" and not self.has_beam and not self.draws_samples:
            sentence = (
                f"chooses among several translations, and {self.search.name} search finds one; "
                "set search to sampling, beam or diverse_beam"
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
                f"chooses among mbr_candidates ({self.mbr_candidates}), of which a beam finds "
                f"{most}; set search to sampling, or one of these numbers to the other"
            )
            refuse("mbr", sentence)
        if self.min_length > self.max_length:
            sentence = f"must be at most max_length ({self.max_length}), not {self.min_length}"
            refuse("min_length", sentence)

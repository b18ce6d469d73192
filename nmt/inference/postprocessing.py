"""From the hypotheses of a search to translations: texts, choice, scores and alignments."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nmt.core.special_tokens import UNK
from nmt.evaluation.minimum_bayes_risk import MinimumBayesRisk
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.forced_decoding import SentenceAlignment, align_pairs, read_weights
from nmt.inference.text_scores import score_texts, score_tokens
from nmt.inference.translation import Candidate, Details, Translation
from nmt.inference.unknown_words import Dictionary, replace_unknown
from nmt.inference.unmet_phrases import relax
from nmt.inference.windows import Window
from nmt.search.hypothesis import Hypothesis
from nmt.text.reader import EncodedWords, SourceReader
from nmt.text.tokenizer import Tokenizer
from nmt.word_alignment.units import AlignmentUnits


@dataclass(frozen=True, eq=False)
class PostProcessor:
    """Makes translations of the hypotheses that a search finds for a window.

    Attributes:
        runner: the model, and the search.
        source_reader: of the lines that are translated.
        target_tokenizer: of the hypotheses.
        reranker: chooses among the hypotheses; None: their order stays.
        dictionary: translations of source words that replace unknown ones; None: there are none.
        alignment_units: what alignments link.
    """

    runner: BatchRunner
    source_reader: SourceReader[Any]
    target_tokenizer: Tokenizer
    reranker: MinimumBayesRisk | None
    dictionary: Dictionary | None
    alignment_units: AlignmentUnits

    def __call__(
        self, window: Window, found: Sequence[Sequence[Hypothesis]], details: Details
    ) -> list[Translation]:
        """Return the translations of a window.

        Args:
            window: the lines.
            found: the hypotheses of each, best first.
            details: what is computed of them besides their texts.
        """
        sources, tokenizer = window.sources, self.target_tokenizer
        candidates = self._write(relax(window, found, tokenizer, self.runner), sources)
        chosen: Sequence[Sequence[Candidate]] = list(map(self._choose, candidates))
        alignments: Sequence[SentenceAlignment | None] = [None] * len(sources)
        if details.alignments:
            targets = [self._written_words(of_line[0]) for of_line in chosen]
            alignments = self.align(sources, targets)
        if details.scores:
            is_worth = self.reranker is not None
            chosen = score_texts(chosen, sources, tokenizer, self.runner, is_worth=is_worth)
        of_tokens: Sequence[tuple[tuple[float, ...], ...] | None] = [None] * len(sources)
        if details.token_scores:
            of_tokens = score_tokens(chosen, sources, tokenizer, self.runner)
        return [
            Translation(
                tuple(candidate.text for candidate in of_line),
                tuple(candidate.hypothesis for candidate in of_line),
                alignment,
                log_probabilities,
            )
            for of_line, alignment, log_probabilities in zip(
                chosen, alignments, of_tokens, strict=True
            )
        ]

    def align(
        self, sources: Sequence[EncodedWords], targets: Sequence[EncodedWords]
    ) -> list[SentenceAlignment]:
        """Return the alignments of pairs, in order, by one pass of the model over each."""
        weights = self.runner.run_forced(sources, targets, read_weights)
        readers = self.source_reader, self.target_tokenizer
        return align_pairs(
            zip(sources, targets, strict=True), weights, readers, self.alignment_units
        )

    def _write(
        self, found: Sequence[Sequence[Hypothesis]], sources: Sequence[EncodedWords]
    ) -> list[list[Candidate]]:
        """Return the texts of hypotheses, with unknown words replaced by those of the source."""
        words = {} if self.dictionary is None else self._replace_unknown(found, sources)
        return [
            [
                self._candidate(hypothesis, words.get((index, hypothesis.tokens)))
                for hypothesis in hypotheses
            ]
            for index, hypotheses in enumerate(found)
        ]

    def _candidate(self, hypothesis: Hypothesis, words: list[str] | None) -> Candidate:
        if words is None:
            return Candidate(hypothesis, self.target_tokenizer.decode(hypothesis.tokens))
        return Candidate(hypothesis, " ".join(filter(None, words)), words)

    def _replace_unknown(
        self, found: Sequence[Sequence[Hypothesis]], sources: Sequence[EncodedWords]
    ) -> dict[tuple[int, tuple[int, ...]], list[str]]:
        """Find out in one pass more where unknown words come from.

        Returns:
            Index of a line and tokens of a hypothesis with unknown words -> its words.
        """
        assert self.dictionary is not None
        gaps = {
            (index, hypothesis.tokens): self.target_tokenizer.decode_words(hypothesis.tokens)
            for index, hypotheses in enumerate(found)
            for hypothesis in hypotheses
            if UNK in hypothesis.tokens
        }
        parts = {index: self.source_reader.smallest_parts(sources[index]) for index, _ in gaps}
        weights = self.runner.run_forced(
            [parts[index] for index, _ in gaps], list(gaps.values()), read_weights
        )
        return {
            (index, tokens): replace_unknown(words, parts[index], of_pair, self.dictionary)
            for ((index, tokens), words), of_pair in zip(gaps.items(), weights, strict=True)
        }

    def _choose(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return the choice of the reranker, by what each is worth; or each text once."""
        if self.reranker is not None:
            ranked = self.reranker(
                [candidate.text for candidate in candidates],
                [candidate.hypothesis.log_probability for candidate in candidates],
            )
            return [candidates[place].with_score(worth) for place, worth in ranked]
        if self.runner.search.finds_distinct_texts:
            return drop_equal_texts(candidates)
        return candidates

    def _written_words(self, candidate: Candidate) -> EncodedWords:
        """Return the tokens and words of a candidate as it was written; of no text, nothing."""
        tokens = candidate.hypothesis.tokens if candidate.text else ()
        encoded = self.target_tokenizer.decode_words(tokens)
        if candidate.words is None or not candidate.text:
            return encoded
        return replace(encoded, words=candidate.words)


def drop_equal_texts(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the first candidate of each text: a text may be written in several tokens."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.text, candidate)
    return list(first.values())

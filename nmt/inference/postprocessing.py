"""Post-processing of hypotheses to translations: texts, reranking, scores and alignments."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nmt.core.special_tokens import EOS, UNK
from nmt.evaluation.minimum_bayes_risk import MinimumBayesRisk
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.forced_decoding import (
    ForcedAttention,
    SentenceAlignment,
    TokenAttention,
    align_units,
    read_attention,
    read_log_probabilities,
    read_scored_attention,
    score_without_coverage,
)
from nmt.inference.loading import word_edges
from nmt.inference.translation import ExtraOutputs, Translation
from nmt.inference.unknown_words import Dictionary, replace_unknown
from nmt.inference.windows import Window
from nmt.search.constraints import count_unmet
from nmt.search.hypothesis import Hypothesis
from nmt.search.request import Constraints
from nmt.text.reader import EncodedWords, SourceReader
from nmt.text.tokenizer import Tokenizer
from nmt.word_alignment.units import AlignmentUnits

logger = logging.getLogger(__name__)

# The hypotheses of each line, best first.
Found = Sequence[Sequence[Hypothesis]]


@dataclass(frozen=True)
class Candidate:
    """A hypothesis and its text.

    Attributes:
        hypothesis: from a search.
        text: detokenized.
        words: the words of the text if unknown words were replaced; None if not.
        token_log_probabilities: of each token of the text and of EOS, if requested.
    """

    hypothesis: Hypothesis
    text: str
    words: list[str] | None = None
    token_log_probabilities: tuple[float, ...] = ()

    def with_score(self, score: float) -> "Candidate":
        """Return the candidate with another score."""
        return replace(self, hypothesis=replace(self.hypothesis, score=score))


Candidates = Sequence[Sequence[Candidate]]


@dataclass(frozen=True, eq=False)
class PostProcessor:
    """Converter of hypotheses to translations: the part of a translator after the search.

    Attributes:
        runner: the model and the search; the mode of the model (training or evaluation) is
            restored.
        source_reader: the source tokenizer of the model, or the reader of its grids.
        target_tokenizer: the target tokenizer; may be the same object.
        reranker: reranks the candidates of the search; None: no reranking.
        dictionary: translations of the source words that replace unknown words; None: the search
            does not generate unknown words (see `Rules`).
        alignment_units: units that alignments link: words, characters, pieces of the tokenizers;
            "auto": words, and characters of scripts without spaces. The words of very long lines
            are not split into characters.
    """

    runner: BatchRunner
    source_reader: SourceReader[Any]
    target_tokenizer: Tokenizer
    reranker: MinimumBayesRisk | None = None
    dictionary: Dictionary | None = None
    alignment_units: AlignmentUnits = "auto"

    def postprocess(self, window: Window, found: Found, extra: ExtraOutputs) -> list[Translation]:
        """Return the translations of a window.

        Args:
            window: the lines.
            found: their hypotheses.
            extra: the additional outputs to compute.
        """
        sources = window.sources
        if any(constraints.phrases for constraints in window.constraints):
            found = self._search_without_unmet(window, found)
        chosen: Candidates = list(map(self._choose, self._write(found, sources)))
        alignments: Sequence[SentenceAlignment | None] = [None] * len(sources)
        if extra.alignments:
            targets = [self._written_words(of_line[0]) for of_line in chosen]
            alignments = self.align_encoded(sources, targets)
        if extra.scores or extra.token_scores:
            chosen = self._score(chosen, sources, every_token=extra.token_scores)
        return [
            Translation(
                tuple(candidate.text for candidate in of_line),
                tuple(candidate.hypothesis for candidate in of_line),
                alignment,
                tuple(candidate.token_log_probabilities for candidate in of_line)
                if extra.token_scores
                else None,
            )
            for of_line, alignment in zip(chosen, alignments, strict=True)
        ]

    def align_encoded(
        self,
        sources: Sequence[EncodedWords],
        targets: Sequence[EncodedWords],
        *,
        with_scores: bool = False,
    ) -> list[SentenceAlignment]:
        """Return the alignments of pairs, in order, by forced decoding."""
        read = read_scored_attention if with_scores else read_attention
        found = self.runner.run_forced(sources, targets, read)
        return [self._align(*pair) for pair in zip(sources, targets, found, strict=True)]

    def _align(
        self, source: EncodedWords, target: EncodedWords, attention: ForcedAttention
    ) -> SentenceAlignment:
        units = self.alignment_units
        alignment = align_units(
            self.source_reader.split_units(source, units),
            self.target_tokenizer.split_units(target, units),
            attention,
        )
        tokens = None
        if isinstance(self.source_reader, Tokenizer):
            of_source = tuple(self.source_reader.pieces([*map(int, source.ids), EOS]))
            of_target = tuple(self.target_tokenizer.pieces([*map(int, target.ids), EOS]))
            tokens = TokenAttention(of_source, of_target, attention.weights, attention.heads)
        return replace(alignment, tokens=tokens, picks_one=self.runner.model.picks_one)

    def _search_without_unmet(self, window: Window, found: Found) -> Found:
        """Drop phrases that the best hypothesis lacks, and search again until none is missing.

        With a phrase that the model cannot generate, a translation grows up to the length limit.
        """
        results = list(found)
        asked = {
            index: constraints
            for index, constraints in enumerate(window.constraints)
            if constraints.phrases and len(window.sources[index].ids)
        }
        while asked := dict(self._drop_unmet(asked, results, window.first_number)):
            sources = [window.sources[index].ids for index in asked]
            again = self.runner.run_search(sources, list(asked.values()))
            for index, hypotheses in zip(asked, again, strict=True):
                results[index] = hypotheses
        return results

    def _drop_unmet(
        self, asked: Mapping[int, Constraints], found: Found, first_number: int
    ) -> Iterator[tuple[int, Constraints]]:
        """Yield each line whose best hypothesis lacks phrases, with the remaining constraints."""
        edges = word_edges(self.target_tokenizer)
        for index, constraints in asked.items():
            tokens = found[index][0].tokens
            unmet = [
                phrase for phrase in constraints.phrases if count_unmet(tokens, [phrase], edges)
            ]
            for phrase in unmet:
                missing = self.target_tokenizer.decode(phrase)
                logger.warning(
                    f"line {first_number + index}: no translation contains {missing!r} and meets "
                    f"the other constraints; it is translated without {missing!r}"
                )
            if unmet:
                kept = tuple(phrase for phrase in constraints.phrases if phrase not in unmet)
                yield index, replace(constraints, phrases=kept)

    def _write(self, found: Found, sources: Sequence[EncodedWords]) -> list[list[Candidate]]:
        """Return the hypotheses with their texts, with unknown words replaced from the source."""
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
        self, found: Found, sources: Sequence[EncodedWords]
    ) -> dict[tuple[int, tuple[int, ...]], list[str]]:
        """Replace unknown words by the source words they attend to, in one more pass.

        Returns:
            Mapping from (index of a line, tokens of a hypothesis with unknown words) to its words.
        """
        assert self.dictionary is not None
        gaps = {
            (index, hypothesis.tokens): self.target_tokenizer.decode_words(hypothesis.tokens)
            for index, hypotheses in enumerate(found)
            for hypothesis in hypotheses
            if UNK in hypothesis.tokens
        }
        parts = {index: self.source_reader.smallest_parts(sources[index]) for index, _ in gaps}
        attentions = self.runner.run_forced(
            [parts[index] for index, _ in gaps], list(gaps.values()), read_attention
        )
        return {
            (index, tokens): replace_unknown(words, parts[index], of_pair.weights, self.dictionary)
            for ((index, tokens), words), of_pair in zip(gaps.items(), attentions, strict=True)
        }

    def _choose(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Rerank the candidates by their expected utility, or remove duplicate texts if needed."""
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
        """Return the tokens and words of a candidate's text; empty if it has no text."""
        tokens = candidate.hypothesis.tokens if candidate.text else ()
        encoded = self.target_tokenizer.decode_words(tokens)
        if candidate.words is None or not candidate.text:
            return encoded
        return replace(encoded, words=candidate.words)

    def _score(
        self, candidates: Candidates, sources: Sequence[EncodedWords], *, every_token: bool
    ) -> list[list[Candidate]]:
        """Return the candidates with the tokens and scores of their texts, by forced decoding.

        A search may generate a text in other tokens than the tokenizer. The scores of a search with
        a shortlist are normalised over the shortlist, so all its candidates are scored again.

        Args:
            candidates: of each line.
            sources: their sources; a source without tokens was not translated and has no scores.
            every_token: add the log-probabilities of the tokens to each candidate.
        """
        results = [list(of_line) for of_line in candidates]
        targets: dict[tuple[int, int], EncodedWords] = {}
        for index, of_line in enumerate(candidates):
            for rank, candidate in enumerate(of_line if len(sources[index].ids) else ()):
                target = self.target_tokenizer.encode_words(candidate.text)
                if every_token or not self._was_scored(candidate.hypothesis, target):
                    targets[index, rank] = target
        found = self.runner.run_forced(
            [sources[index] for index, _ in targets], list(targets.values()), read_log_probabilities
        )
        for ((index, rank), target), log_probabilities in zip(targets.items(), found, strict=True):
            old = results[index][rank]
            hypothesis = self._rescore(old.hypothesis, target, log_probabilities)
            results[index][rank] = Candidate(hypothesis, old.text, old.words, log_probabilities)
        return results

    def _was_scored(self, hypothesis: Hypothesis, target: EncodedWords) -> bool:
        """Return whether the search has scored these tokens over the whole vocabulary."""
        return self.runner.shortlist is None and hypothesis.tokens == tuple(target.ids)

    def _rescore(
        self, old: Hypothesis, target: EncodedWords, log_probabilities: Sequence[float]
    ) -> Hypothesis:
        """Return the hypothesis with these tokens; the penalties in its score are kept.

        With minimum Bayes risk, the score is the expected utility of the text for any tokens.
        """
        if self._was_scored(old, target):
            return old
        total, score = sum(log_probabilities), old.score
        if self.reranker is None:
            scoring = self.runner.search.scoring
            before = score_without_coverage(old.log_probability, len(old.tokens) + 1, scoring)
            after = score_without_coverage(total, len(log_probabilities), scoring)
            score = after + (old.score - before)
        return Hypothesis(tuple(target.ids), total, score)


def drop_equal_texts(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the first candidate of each text: different tokens may give the same text."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.text, candidate)
    return list(first.values())

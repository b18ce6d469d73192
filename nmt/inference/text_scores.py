"""Scores of the texts of candidates, and of their tokens: one pass of the model over each."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from nmt.inference.batch_inference import BatchRunner
from nmt.inference.forced_decoding import read_log_probabilities
from nmt.inference.translation import Candidate
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalties import Scoring
from nmt.text.reader import EncodedWords
from nmt.text.tokenizer import Tokenizer


def score_texts(
    candidates: Sequence[Sequence[Candidate]],
    sources: Sequence[EncodedWords],
    tokenizer: Tokenizer,
    runner: BatchRunner,
    *,
    is_worth: bool,
) -> list[list[Candidate]]:
    """Return the candidates with the tokens and scores of their texts.

    A search may write a text in other tokens than the tokenizer. Where it saw only some tokens (a
    shortlist), its scores are of these, so that all candidates have others.

    Args:
        candidates: of each sentence.
        sources: what they translate.
        tokenizer: of the target.
        runner: the model, and the search that has found them.
        is_worth: the scores are what a text is worth (minimum Bayes risk), whatever its tokens.
    """
    scored = {
        (index, rank): target
        for index, of_line in enumerate(candidates)
        if len(sources[index].ids)
        for rank, candidate in enumerate(of_line)
        if (target := tokenizer.encode_words(candidate.text)).ids
        != list(candidate.hypothesis.tokens)
        or runner.shortlist is not None
    }
    found = runner.run_forced(
        [sources[index] for index, _ in scored], list(scored.values()), read_log_probabilities
    )
    results = [list(of_line) for of_line in candidates]
    for ((index, rank), target), log_probabilities in zip(scored.items(), found, strict=True):
        old, total = candidates[index][rank], sum(log_probabilities)
        score = old.hypothesis.score
        if not is_worth:
            length = len(log_probabilities)
            score = _same_penalties(old.hypothesis, total, length, runner.search.scoring)
        results[index][rank] = replace(old, hypothesis=Hypothesis(tuple(target.ids), total, score))
    return results


def score_tokens(
    candidates: Sequence[Sequence[Candidate]],
    sources: Sequence[EncodedWords],
    tokenizer: Tokenizer,
    runner: BatchRunner,
) -> list[tuple[tuple[float, ...], ...]]:
    """Return the log-probability of each token and of EOS, for each candidate of each sentence.

    Args:
        candidates: of each sentence.
        sources: what they translate; one without tokens was not translated, and has no scores.
        tokenizer: of the target.
        runner: the model.
    """
    pairs = [
        (source, tokenizer.decode_words(candidate.hypothesis.tokens))
        for source, of_line in zip(sources, candidates, strict=True)
        for candidate in of_line
        if len(source.ids)
    ]
    found = iter(
        runner.run_forced(
            [source for source, _ in pairs], [words for _, words in pairs], read_log_probabilities
        )
    )
    return [
        tuple(next(found) if len(source.ids) else () for _ in of_line)
        for source, of_line in zip(sources, candidates, strict=True)
    ]


def score_without_coverage(log_probability: float, length: int, scoring: Scoring) -> float:
    """Return the score of tokens, EOS counted, without coverage, which only a search knows."""
    return scoring.length.score(torch.tensor(log_probability), torch.tensor(length)).item()


def _same_penalties(old: Hypothesis, total: float, length: int, scoring: Scoring) -> float:
    """Return the score of other tokens of one text; penalties that the search added stay."""
    before = score_without_coverage(old.log_probability, len(old.tokens) + 1, scoring)
    return score_without_coverage(total, length, scoring) + (old.score - before)

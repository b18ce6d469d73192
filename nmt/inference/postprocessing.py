"""What is done to what a search has found: searched again, chosen by its text, scored by it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from nmt.core.special_tokens import UNK
from nmt.evaluation.minimum_bayes_risk import MinimumBayesRisk
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.forced_decoding import read_log_probabilities, read_weights
from nmt.inference.inputs import drop_unmet
from nmt.inference.unknown_words import Dictionary, replace_unknown
from nmt.inference.windows import Window
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalties import Scoring
from nmt.text.reader import EncodedWords
from nmt.text.tokenizer import Tokenizer

Written = Mapping[tuple[int, tuple[int, ...]], list[str]]
"""What stands for each word of a hypothesis with unknown ones (see `replace_unknown`): by its
sentence and its tokens."""


def search_again(
    window: Window, found: list[list[Hypothesis]], tokenizer: Tokenizer, runner: BatchRunner
) -> None:
    """Give up what lines were to have and cannot, search after search.

    Args:
        window: what was asked for; its constraints become what is left of them.
        found: the hypotheses of each line; changed in place.
        tokenizer: of the target.
        runner: the search that has found them.
    """
    sources, constraints = window.sources, window.constraints
    while left := drop_unmet(sources, constraints, found, tokenizer, window.first_number):
        ids = [sources[index].ids for index in left]
        again = runner.run_search(ids, list(left.values()))
        for (index, constraint), hypotheses in zip(left.items(), again, strict=True):
            found[index], constraints[index] = hypotheses, constraint


def decode(
    found: Sequence[Sequence[Hypothesis]],
    sources: Sequence[EncodedWords],
    tokenizer: Tokenizer,
    runner: BatchRunner,
    dictionary: Dictionary | None,
    smallest_parts: Callable[[EncodedWords], EncodedWords],
) -> tuple[list[tuple[str, ...]], Written]:
    """The text of each hypothesis, and the words of those in which unknown ones were replaced.

    Args:
        found: the hypotheses of each sentence.
        sources: what they translate.
        tokenizer: of the target.
        runner: looks where unknown words come from.
        dictionary: what these become; None: there are none.
        smallest_parts: of the reader of the source.
    """
    written: Written = {}
    if dictionary is not None:
        written = _replace_unknown(found, sources, tokenizer, runner, dictionary, smallest_parts)

    def text(index: int, hypothesis: Hypothesis) -> str:
        words = written.get((index, hypothesis.tokens))
        return (
            tokenizer.decode(hypothesis.tokens) if words is None else " ".join(filter(None, words))
        )

    texts = [
        tuple(text(index, hypothesis) for hypothesis in hypotheses)
        for index, hypotheses in enumerate(found)
    ]
    return texts, written


def _replace_unknown(
    found: Sequence[Sequence[Hypothesis]],
    sources: Sequence[EncodedWords],
    tokenizer: Tokenizer,
    runner: BatchRunner,
    dictionary: Dictionary,
    smallest_parts: Callable[[EncodedWords], EncodedWords],
) -> Written:
    """Look in one pass more where the unknown words of hypotheses come from, and replace them."""
    gaps = {
        (index, hypothesis.tokens): tokenizer.decode_words(hypothesis.tokens)
        for index, hypotheses in enumerate(found)
        for hypothesis in hypotheses
        if UNK in hypothesis.tokens
    }
    parts = {index: smallest_parts(sources[index]) for index, _ in gaps}
    seen = runner.run_forced([parts[index] for index, _ in gaps], list(gaps.values()), read_weights)
    return {
        (index, tokens): replace_unknown(words, parts[index], weights, dictionary)
        for ((index, tokens), words), weights in zip(gaps.items(), seen, strict=True)
    }


def written_words(
    found: Sequence[Hypothesis | None], written: Written, tokenizer: Tokenizer
) -> list[EncodedWords]:
    """Return the words of hypotheses, as they were written.

    They are the words of their tokens, which the text need not become again.

    Args:
        found: a hypothesis for each sentence; None: nothing.
        written: from `decode`.
        tokenizer: of the target.
    """
    sentences = []
    for index, item in enumerate(found):
        tokens = () if item is None else item.tokens
        encoded = tokenizer.decode_words(tokens)
        texts = written.get((index, tokens))
        sentences.append(encoded if texts is None else replace(encoded, words=texts))
    return sentences


def choose(
    found: list[list[Hypothesis]],
    texts: list[tuple[str, ...]],
    runner: BatchRunner,
    reranker: MinimumBayesRisk | None,
) -> tuple[list[list[Hypothesis]], list[tuple[str, ...]]]:
    """Return what is kept of each line: the reranker's choice, or the hypotheses of the search."""
    if reranker is not None:
        return rerank(found, texts, reranker)
    if runner.search.finds_distinct_texts:
        return drop_equal_texts(found, texts)
    return found, texts


def drop_equal_texts(
    found: list[list[Hypothesis]], texts: list[tuple[str, ...]]
) -> tuple[list[list[Hypothesis]], list[tuple[str, ...]]]:
    """Return the first hypothesis of each text: a text may be written in several tokens."""
    places = [[at for at, text in enumerate(line) if text not in line[:at]] for line in texts]
    return [
        [hypotheses[place] for place in chosen]
        for hypotheses, chosen in zip(found, places, strict=True)
    ], [
        tuple(of_line[place] for place in chosen)
        for of_line, chosen in zip(texts, places, strict=True)
    ]


def rerank(
    found: list[list[Hypothesis]], texts: list[tuple[str, ...]], choose: MinimumBayesRisk
) -> tuple[list[list[Hypothesis]], list[tuple[str, ...]]]:
    """What is chosen of each line; its score is what it is worth."""
    chosen = [
        choose(of_line, [hypothesis.log_probability for hypothesis in hypotheses])
        for of_line, hypotheses in zip(texts, found, strict=True)
    ]
    return [
        [replace(hypotheses[place], score=worth) for place, worth in ranked]
        for hypotheses, ranked in zip(found, chosen, strict=True)
    ], [
        tuple(of_line[place] for place, _ in ranked)
        for of_line, ranked in zip(texts, chosen, strict=True)
    ]


def score_texts(
    found: list[list[Hypothesis]],
    texts: Sequence[Sequence[str]],
    sources: Sequence[EncodedWords],
    tokenizer: Tokenizer,
    runner: BatchRunner,
    *,
    is_worth: bool,
) -> None:
    """Put the tokens and scores of its text in the place of each hypothesis that has others.

    Where the search saw some tokens alone (a shortlist), so were its scores: then all have others.

    Args:
        found: the hypotheses of each sentence; changed in place.
        texts: of each of them.
        sources: what they translate.
        tokenizer: of the target.
        runner: the model, and the search that has found them.
        is_worth: the scores are what a text is worth (minimum Bayes risk), whatever its tokens.
    """
    other = [
        (index, rank, target)
        for index, hypotheses in enumerate(found)
        for rank, hypothesis in enumerate(hypotheses)
        if sources[index].ids
        if (target := tokenizer.encode_words(texts[index][rank])).ids != list(hypothesis.tokens)
        or runner.shortlist is not None
    ]
    scores = runner.run_forced(
        [sources[index] for index, _, _ in other],
        [target for _, _, target in other],
        read_log_probabilities,
    )
    for (index, rank, target), log_probabilities in zip(other, scores, strict=True):
        total, length, old = sum(log_probabilities), len(log_probabilities), found[index][rank]
        score = old.score
        if not is_worth:
            score = _same_penalties(old, total, length, runner.search.scoring)
        found[index][rank] = Hypothesis(tuple(target.ids), total, score)


def score_tokens(
    found: Sequence[Sequence[Hypothesis]],
    sources: Sequence[EncodedWords],
    tokenizer: Tokenizer,
    runner: BatchRunner,
) -> list[tuple[tuple[float, ...], ...]]:
    """For each hypothesis of each sentence the log-probability of each token and of EOS.

    Args:
        found: the hypotheses of each sentence.
        sources: what they translate; what has no tokens was not translated, and nothing is told.
        tokenizer: of the target.
        runner: the model.
    """
    asked = [
        (source, tokenizer.decode_words(hypothesis.tokens))
        for source, hypotheses in zip(sources, found, strict=True)
        for hypothesis in hypotheses
        if source.ids
    ]
    told = iter(
        runner.run_forced(
            [source for source, _ in asked], [words for _, words in asked], read_log_probabilities
        )
    )
    return [
        tuple(next(told) if source.ids else () for _ in hypotheses)
        for source, hypotheses in zip(sources, found, strict=True)
    ]


def score_without_coverage(log_probability: float, length: int, scoring: Scoring) -> float:
    """The score of tokens, EOS counted, but for the coverage: that is known to a search alone."""
    return scoring.length.score(torch.tensor(log_probability), torch.tensor(length)).item()


def _same_penalties(old: Hypothesis, total: float, length: int, scoring: Scoring) -> float:
    """The score of other tokens of one text: what the search has held against it stays."""
    before = score_without_coverage(old.log_probability, len(old.tokens) + 1, scoring)
    return score_without_coverage(total, length, scoring) + (old.score - before)

"""The scores of texts, where a search has found them in other tokens than a tokenizer makes."""

from collections.abc import Sequence

import torch

from nmt.inference import Inference
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalties import Scoring
from nmt.teacher_forcing import read_log_probabilities
from nmt.text.reader import EncodedWords
from nmt.text.tokenizer import Tokenizer


def score_texts(
    found: list[list[Hypothesis]],
    texts: Sequence[Sequence[str]],
    sources: Sequence[EncodedWords],
    tokenizer: Tokenizer,
    inference: Inference,
) -> None:
    """Put the tokens and scores of its text in the place of each hypothesis that has others.

    Args:
        found: the hypotheses of each sentence; changed in place.
        texts: of each of them.
        sources: what they translate.
        tokenizer: of the target.
        inference: the model, and the search that has found them.
    """
    other = [
        (index, rank, target)
        for index, hypotheses in enumerate(found)
        for rank, hypothesis in enumerate(hypotheses)
        if (target := tokenizer.encode_words(texts[index][rank])).ids != list(hypothesis.tokens)
    ]
    scores = inference.run_forced(
        [sources[index] for index, _, _ in other],
        [target for _, _, target in other],
        read_log_probabilities,
    )
    for (index, rank, target), log_probabilities in zip(other, scores, strict=True):
        total, length = sum(log_probabilities), len(log_probabilities)
        score = _same_penalties(found[index][rank], total, length, inference.search.scoring)
        found[index][rank] = Hypothesis(tuple(target.ids), total, score)


def _same_penalties(old: Hypothesis, total: float, length: int, scoring: Scoring) -> float:
    """The score of other tokens of one text: what the search has held against it stays."""

    def plain(log_probability: float, length: int) -> float:
        return scoring.score(torch.tensor(log_probability), torch.tensor(length)).item()

    held_against = old.score - plain(old.log_probability, len(old.tokens) + 1)
    return plain(total, length) + held_against

"""A made-up model with a random distribution after every prefix, and the truth about it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.core.coverage import Coverage
from nmt.core.special_tokens import BOS, EOS
from nmt.search.hypothesis import Hypothesis
from nmt.search.request import Request
from nmt.search.rules import LengthLimits, Rules
from nmt.search.search import Scoring, Search, Stepper
from nmt.search.table import SEARCHES

_NUM_CONTEXTS = 1009


@dataclass(frozen=True)
class History:
    """State of the model: which sentence, and a number that stands for all words so far."""

    sentence: Tensor
    context: Tensor


class RandomModel:
    """After each prefix of each sentence another random distribution."""

    def __init__(self, vocabulary_size: int, seed: int, spread: float = 1.5) -> None:
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(_NUM_CONTEXTS, vocabulary_size, generator=generator) * spread
        self.table = logits.log_softmax(dim=1)
        self.seen = 2 * torch.rand(_NUM_CONTEXTS, 4, generator=generator)
        self.again = 2 * torch.rand(_NUM_CONTEXTS, generator=generator)
        self.num_calls = 0
        self.num_rows = 0

    def start(self, sentences: list[int]) -> History:
        numbers = torch.tensor(sentences, dtype=torch.int64)
        return History(numbers, numbers * 31)

    def step(self, tokens: Tensor, state: History) -> tuple[Tensor, History]:
        assert len(tokens) == len(state.context) == len(state.sentence)
        self.num_calls += 1
        self.num_rows += len(tokens)
        context = (state.context * 37 + tokens * 101 + 17) % _NUM_CONTEXTS
        return self.table[context].clone(), History(state.sentence, context)

    def translate(
        self, search: Search, sentences: list[int], lengths: list[int], **asked: Any
    ) -> list[list[Hypothesis]]:
        """What a search finds for these sentences, of so many tokens."""
        numbers = torch.tensor(sentences, dtype=torch.int64)
        request = Request(torch.tensor(lengths, dtype=torch.int64), **{"keys": numbers, **asked})
        model = Stepper(self.step, self.coverage)
        return search(model, self.start(sentences), request)

    def log_probability(self, sentence: int, tokens: tuple[int, ...], *, end: bool = True) -> float:
        """What teacher forcing gives for the tokens, and for EOS."""
        state = self.start([sentence])
        total = torch.zeros(())
        previous = BOS
        for token in (*tokens, EOS) if end else tokens:
            log_probabilities, state = self.step(torch.tensor([previous]), state)
            total = total + log_probabilities[0, token]
            previous = token
        return float(total)

    def coverage(self, state: History) -> Coverage:
        return Coverage(self.seen[state.context], self.again[state.context])

    def _coverage(self, sentence: int, tokens: tuple[int, ...]) -> Coverage:
        """What the source has got when EOS follows these tokens."""
        state = self.start([sentence])
        for token in (BOS, *tokens):
            _, state = self.step(torch.tensor([token]), state)
        return self.coverage(state)

    def all_hypotheses(
        self, sentence: int, scoring: Scoring, limits: LengthLimits, source_length: int
    ) -> list[Hypothesis]:
        """Everything that the limits allow, best first."""
        longest = int(limits.max_lengths(torch.tensor([source_length])))
        words = range(EOS + 1, self.table.shape[1])
        found = []
        for length in range(limits.min_length, longest + 1):
            for tokens in product(words, repeat=length):
                total = self.log_probability(sentence, tokens)
                score = scoring.length.score(torch.tensor(total), torch.tensor(length + 1.0))
                score = score + scoring.coverage(self._coverage(sentence, tokens))[0]
                found.append(Hypothesis(tokens, total, float(score)))
        return sorted(found, key=lambda hypothesis: -hypothesis.score)


@pytest.fixture
def random_model() -> type[RandomModel]:
    """The class, for tests to make models of (test modules cannot import one another)."""
    return RandomModel


@pytest.fixture
def make_search() -> Callable[..., Search]:
    """Makes a search of that name, three hypotheses wide where it has a width."""

    def make(name: str, scoring: Scoring, rules: Rules) -> Search:
        options = {"groups": 3} if name == "diverse_beam" else {}
        return SEARCHES[name](3, 1, scoring, rules, **options)

    return make

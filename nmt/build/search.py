"""From options to the search for translations and the choice among its candidates."""

import functools
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor

from nmt.config.decoding import DecodingConfig
from nmt.config.registry import COVERAGE_PENALTIES, LENGTH_PENALTIES, SEARCHES
from nmt.core.special_tokens import BOS, EOS, SPECIAL_SYMBOLS, UNK
from nmt.core.writing_systems import is_word_character
from nmt.evaluation.minimum_bayes_risk import UTILITIES, MinimumBayesRisk
from nmt.search.constraints import ForbiddenPhrases
from nmt.search.rules import (
    EOSThreshold,
    LengthLimits,
    NoRepeatedNgrams,
    RepetitionPenalty,
    Rule,
    Rules,
)
from nmt.search.search import Scoring, Search
from nmt.text.tokenizer import Tokenizer


def build_search(
    config: DecodingConfig, tokenizer: Tokenizer, further_rules: Sequence[Rule] = ()
) -> Search:
    """Return the search for translations.

    Args:
        config: the options.
        tokenizer: of the target.
        further_rules: applied after those of the options.

    Raises:
        ConfigError: the options contradict each other.
    """
    scoring = Scoring(
        LENGTH_PENALTIES.create(config.length_penalty),
        COVERAGE_PENALTIES.create(config.coverage_penalty),
    )
    limits = LengthLimits(
        min_length=config.min_length,
        max_length=config.max_length,
        min_length_ratio=config.min_length_ratio,
        max_length_ratio=config.max_length_ratio,
    )
    rules = Rules(
        limits,
        [*_rules(config, tokenizer), *further_rules],
        allow_unknown=config.replace_unknown,
        word_edges=partial(word_edges, tokenizer),
    )
    search: Search = SEARCHES.create(
        config.search, config.beam_size, config.num_candidates, scoring, rules
    )
    return search


@functools.lru_cache(maxsize=4)
def word_edges(tokenizer: Tokenizer) -> Bool[Tensor, "2 V"]:
    """Return before which tokens a word has ended, and after which one may begin.

    Punctuation is no part of a word here: "hat" stands in "hat," and in "hat's", and not in
    "hats". (Where tokens are joined from both sides, it is supposed that the other does not.)
    """
    edges = [[True] * len(tokenizer) for _ in range(2)]
    for token in range(len(SPECIAL_SYMBOLS), len(tokenizer)):
        if text := tokenizer.join([token]):
            edges[0][token] = tokenizer.starts_word(EOS, token) or not is_word_character(text[0])
            edges[1][token] = not is_word_character(text[-1])
    return torch.tensor(edges)


def build_reranker(config: DecodingConfig, bleu_tokenizer: str = "auto") -> MinimumBayesRisk | None:
    """Return what chooses among the candidates of a search; None: the search itself.

    Args:
        config: the options.
        bleu_tokenizer: what BLEU counts as words; auto: by the script of the candidates.

    Raises:
        ConfigError: the tokenizer needs an extra that is not installed.
    """
    if config.mbr == "none":
        return None
    utility = UTILITIES[config.mbr](bleu_tokenizer)
    return MinimumBayesRisk(utility, config.n_best, are_samples=config.draws_samples)


def _rules(config: DecodingConfig, tokenizer: Tokenizer) -> Iterator[Rule]:
    if config.repetition_penalty > 1.0:
        yield RepetitionPenalty(config.repetition_penalty)
    if config.no_repeat_ngram_size > 0:
        yield NoRepeatedNgrams(config.no_repeat_ngram_size)
    forbidden = [ids for phrase in config.forbidden for ids in _token_sequences(phrase, tokenizer)]
    if forbidden:
        yield ForbiddenPhrases(forbidden)
    if config.eos_threshold is not None:
        yield EOSThreshold(config.eos_threshold)


def _token_sequences(phrase: str, tokenizer: Tokenizer) -> list[list[int]]:
    """Return the tokens of a phrase at the beginning of a text and inside, where these differ.

    There are none where a word is unknown, as the model cannot generate it.
    """
    first = tokenizer.encode(phrase)
    if not first or UNK in first:
        return []
    later = tokenizer.encode(f"{phrase} {phrase}")[len(first) :]
    return [first] if later == first else [[BOS, *first], later]

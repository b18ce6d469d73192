"""Other words at one place of a translation."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from nmt.core.batch import Batch
from nmt.core.special_tokens import SPECIAL_SYMBOLS
from nmt.core.writing_systems import has_no_spaces
from nmt.nn.model import ModelOutput
from nmt.search.request import Constraints
from nmt.text.reader import EncodedWords
from nmt.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from nmt.inference.translator import Translator

_SPARE = 2  # tokens that are continued for each word, as several may begin the same word


@dataclass(frozen=True)
class Alternative:
    """A word that may follow a prefix.

    Attributes:
        word: the first word after the prefix; in a script without spaces, its first token.
        prefix: the prefix with this word.
        probability: of the tokens that begin this word, by the model.
        text: the best translation that continues with it.
    """

    word: str
    prefix: str
    probability: float
    text: str


def find_alternatives(
    translator: "Translator", source: str, prefix: str = "", count: int = 5
) -> list[Alternative]:
    """Return words that may follow a prefix of whole words, the likeliest first.

    Each of the likeliest next tokens is forced in one search, which completes the translation.

    Args:
        translator: of text.
        source: one sentence.
        prefix: the translation before the word.
        count: maximum number of words.
    """
    tokenizer = translator.target_tokenizer
    ids = [*translator.source_reader.encode_words(source).ids][: translator.max_source_length]
    forced = tokenizer.encode(prefix)
    has_blank = bool(forced) and not has_no_spaces(prefix[-1:])
    forced += tokenizer.between_words if has_blank else ()
    if not ids or len(forced) >= translator.runner.search.rules.limits.max_length:
        return []
    keeps_word = has_blank and not tokenizer.between_words
    likely = _likely_tokens(translator, ids, forced, _SPARE * count, keeps_word=keeps_word)
    constraints = [Constraints((*forced, token)) for token, _ in likely]
    found = translator.runner.run_search([ids] * len(likely), constraints)
    merged: dict[str, Alternative] = {}
    for (_, probability), hypotheses in zip(likely, found, strict=True):
        tokens = hypotheses[0].tokens
        word, end = _word_after(tokenizer, tokens, len(forced))
        if word in merged:
            probability += merged[word].probability
            merged[word] = replace(merged[word], probability=probability)
        elif word:
            longer = tokenizer.decode(tokens[:end])
            merged[word] = Alternative(word, longer, probability, tokenizer.decode(tokens))
    return list(merged.values())[:count]


def _likely_tokens(
    translator: "Translator", source: list[int], prefix: list[int], most: int, *, keeps_word: bool
) -> list[tuple[int, float]]:
    """Return the likeliest tokens after a prefix, with their probabilities.

    Args:
        translator: of text.
        source: tokens of the source.
        prefix: tokens of the translation so far.
        most: maximum number of tokens.
        keeps_word: only return tokens that do not continue the last word.
    """

    def read(batch: Batch, output: ModelOutput) -> list[torch.Tensor]:
        return list(output.logits[:, -1].float().softmax(dim=-1).cpu())

    pair = [EncodedWords(source, [], [])], [EncodedWords(prefix, [], [])]
    (shares,) = translator.runner.run_forced(*pair, read)
    shares = shares.clone()  # of inference mode, which allows no changes
    shares[: len(SPECIAL_SYMBOLS)] = 0.0
    if keeps_word:
        starts = translator.target_tokenizer.starts_word
        shares *= torch.tensor([starts(prefix[-1], token) for token in range(len(shares))])
    values, tokens = shares.topk(min(most, len(shares)))
    ranked = zip(tokens.tolist(), values.tolist(), strict=True)
    return [(token, value) for token, value in ranked if value > 0.0]


def _word_after(tokenizer: Tokenizer, tokens: Sequence[int], place: int) -> tuple[str, int]:
    """Return the word that begins at a token, and the number of tokens up to its end.

    Where no blank comes before the token, its own text is the word.
    """
    written = tokenizer.decode_words(tokens)
    word = written.word_of_token[place]
    if place and written.word_of_token[place - 1] == word:
        return tokenizer.join(tokens[place : place + 1]), place + 1
    return written.words[word], bisect_right(written.word_of_token, word)

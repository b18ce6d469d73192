"""Other words at one place of a translation."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from nmt.core.batch import Batch
from nmt.core.special_tokens import SPECIAL_SYMBOLS
from nmt.core.writing_systems import has_no_spaces
from nmt.nn.model import ModelOutput
from nmt.search.request import Constraints
from nmt.text.reader import EncodedWords

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
    sentence = translator.source_reader.encode_words(source)
    limit = translator.max_source_length
    ids = [*sentence.ids][:limit]
    words = tokenizer.encode_words(prefix)
    forced = [*words.ids, *(tokenizer.between_words if words.ids else ())]
    if not ids or len(forced) >= translator.runner.search.rules.limits.max_length:
        return []
    logs = _next_log_probabilities(translator, ids, forced)
    logs[: len(SPECIAL_SYMBOLS)] = -torch.inf
    has_spaces = not has_no_spaces(prefix[-1:])
    if words.ids and has_spaces and not tokenizer.between_words:  # the word before stays whole
        begins = [tokenizer.starts_word(forced[-1], token) for token in range(len(logs))]
        logs[~torch.tensor(begins)] = -torch.inf
    values, tokens = logs.topk(min(_SPARE * count, len(logs)))
    likely = [
        (token, value) for token, value in zip(tokens.tolist(), values.exp().tolist(), strict=True)
    ]
    likely = [(token, value) for token, value in likely if value > 0.0]
    constraints = [Constraints((*forced, token)) for token, _ in likely]
    found = translator.runner.run_search([ids] * len(likely), constraints)
    merged: dict[str, Alternative] = {}
    for (token, value), hypotheses in zip(likely, found, strict=True):
        tokens = hypotheses[0].tokens
        written = tokenizer.decode_words(tokens)
        place = written.word_of_token[len(forced)]
        end = bisect_right(written.word_of_token, place)
        word = written.words[place]
        if forced and written.word_of_token[len(forced) - 1] == place:  # no blank between them
            end = len(forced) + 1
            word = tokenizer.join([token])
        if word in merged:
            merged[word] = replace(merged[word], probability=merged[word].probability + value)
        elif word:
            text = " ".join(written.words)
            merged[word] = Alternative(word, tokenizer.decode(tokens[:end]), value, text)
    return list(merged.values())[:count]


def _next_log_probabilities(
    translator: "Translator", source: list[int], prefix: list[int]
) -> torch.Tensor:
    """Return the log-probabilities of the token after a prefix, `[V]`."""

    def read(batch: Batch, output: ModelOutput) -> list[torch.Tensor]:
        return list(output.logits[:, -1].float().log_softmax(dim=-1).cpu())

    pair = EncodedWords(source, [], []), EncodedWords(prefix, [], [])
    (found,) = translator.runner.run_forced([pair[0]], [pair[1]], read)
    return found.clone()

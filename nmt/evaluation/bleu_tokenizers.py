"""The sacreBLEU tokenizers for BLEU, and the choice of one for a text."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from sacrebleu.metrics.bleu import BLEU

from nmt.core.errors import ConfigError
from nmt.core.writing_systems import HAN, KANA, scripts_of

# Stands for the choice of `choose_tokenizer`; not itself a tokenizer.
AUTO: Final = "auto"
_MOST_KANA: Final = 0.1  # kana per Han letter in Chinese text, which may quote Japanese


def choose_tokenizer(lines: Iterable[str]) -> str:
    """Return the name of the tokenizer that suits the script of a text.

    The choice is ``13a`` if most letters belong to scripts with spaces between words. It is ``zh``
    if they are Han without the kana of Japanese, and ``char`` otherwise.
    """
    letters: Counter[str] = Counter()
    for line in lines:
        letters.update(filter(str.isalpha, line))
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[next(iter(scripts_of(letter)), "")] += count
    num_without_spaces = scripts.total() - scripts[""]
    if 2 * num_without_spaces <= scripts.total():
        return "13a"
    num_kana = sum(scripts[name] for name in KANA)
    is_chinese = 2 * scripts[HAN] > num_without_spaces and num_kana < _MOST_KANA * scripts[HAN]
    return "zh" if is_chinese else "char"


def resolve_tokenizer(name: str, lines: Iterable[str]) -> str:
    """Return the name itself, or for `AUTO` the choice for these lines."""
    return choose_tokenizer(lines) if name == AUTO else name


@functools.cache
def load_tokenizer(name: str) -> Callable[[str], str]:
    """Return sacreBLEU's function that tokenizes a line, with spaces between the tokens.

    Raises:
        ConfigError: the tokenizer needs an extra of sacreBLEU that is not installed.
    """
    try:
        tokenize: Callable[[str], str] = BLEU(tokenize=name, force=True).tokenizer
    except RuntimeError:
        extra = name.partition("-")[0]
        raise ConfigError(
            f"tokenize: {name!r} needs an extra of sacreBLEU that is not installed; pip install "
            f"'sacrebleu[{extra}]', or choose 'char'"
        ) from None
    return tokenize

"""Translations and their optional outputs."""

import reprlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt.search.hypothesis import Hypothesis

if TYPE_CHECKING:
    from nmt.inference.forced_decoding import SentenceAlignment


@dataclass(frozen=True)
class Translation:
    """The result for one line.

    Attributes:
        texts: the text of each hypothesis, without line breaks.
        hypotheses: best first; at least one. The hypothesis of a line without text has no tokens
            and log-probability 0.
        alignment: of the source and the best text, if requested.
        token_log_probabilities: of each token of each hypothesis, including EOS, if requested.
    """

    texts: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...]
    alignment: "SentenceAlignment | None" = None
    token_log_probabilities: tuple[tuple[float, ...], ...] | None = None

    @property
    def text(self) -> str:
        """Return the best text."""
        return self.texts[0]

    def __repr__(self) -> str:
        return f"Translation({reprlib.repr(self.text)}, score={self.hypotheses[0].score:.2f})"

    def _repr_html_(self) -> str:
        """Return the view of a notebook: the attention, if there is an alignment."""
        from nmt.inference.views import translation_html

        return translation_html(self)


@dataclass(frozen=True)
class ExtraOutputs:
    """Optional outputs in addition to texts and search scores.

    Attributes:
        alignments: align each line with its best translation (one more pass).
        scores: score the texts as `Translator.score` does. A search may generate a word in other
            tokens than the tokenizer (about one line in twenty). Such hypotheses get the tokens of
            their texts and the scores of these tokens (one more pass over these lines). The order
            of the hypotheses does not change.
        token_scores: `scores`, and the log-probabilities of the tokens of each hypothesis (one pass
            over all lines).
    """

    alignments: bool = False
    scores: bool = False
    token_scores: bool = False

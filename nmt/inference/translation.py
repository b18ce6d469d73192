"""A translation, and what may be computed of it besides its text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt.search.hypothesis import Hypothesis

if TYPE_CHECKING:
    from nmt.inference.forced_decoding import SentenceAlignment


@dataclass(frozen=True)
class Translation:
    """The result for one line.

    Attributes:
        texts: the text of each hypothesis; none holds a line break.
        hypotheses: best first; at least one. That of a line without text has no tokens, and
            log-probability 0.
        alignment: of the source and the best text, if it was asked for.
        token_log_probabilities: of each token of each hypothesis, EOS the last; if asked for.
    """

    texts: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...]
    alignment: "SentenceAlignment | None" = None
    token_log_probabilities: tuple[tuple[float, ...], ...] | None = None

    @property
    def text(self) -> str:
        """The best text."""
        return self.texts[0]


@dataclass(frozen=True)
class ExtraOutputs:
    """Choice of what is computed of a translation besides its text and the scores of its search.

    Attributes:
        alignments: align each line with its best translation (one pass more).
        scores: the scores of the hypotheses are those of their texts, as `Translator.score` has
            them. A search may write a word in other tokens than the tokenizer does (one line in
            twenty): such a hypothesis then has the tokens of its text, and their scores (one pass
            more for those lines). The order stays that of the search.
        token_scores: `scores`, and the log-probabilities of the tokens of each hypothesis (one pass
            for all lines).
    """

    alignments: bool = False
    scores: bool = False
    token_scores: bool = False

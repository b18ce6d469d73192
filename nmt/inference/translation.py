"""What a translation is, whoever has made it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt.search.hypothesis import Hypothesis

if TYPE_CHECKING:
    from nmt.inference.forced_decoding import SentenceAlignment


@dataclass(frozen=True)
class Translation:
    """What became of one line.

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

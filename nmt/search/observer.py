"""The observer of a search, and the record of one step that it is given.

A search calls `Request.observer` once for each step, before it moves on. Without an observer it
copies nothing for one.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from jaxtyping import Float, Int
from torch import Tensor

from nmt.search.constraints import Progress
from nmt.search.rules import PartialHypotheses
from nmt.search.search import Candidates, OpenHypotheses
from nmt.search.shapes import Chosen, LogProbabilities, Slots


@dataclass(frozen=True)
class SearchStep:
    """One step of a search; its tensors must neither be changed nor kept after the call.

    Attributes:
        partial: the open hypotheses before the step.
        hypotheses: the same, with their log-probabilities so far.
        by_model: `[R V]`, of each next token, by the model.
        ranked: `[R V]`, of each next token, after the rules.
        number: `[N]`, row of the request of each sentence with open hypotheses.
        slots: `[N W]`, the hypotheses of each of these sentences; R: an empty slot.
        candidates: the best continuations of each sentence.
        kept: which candidates get a place in the beam; those with EOS are finished.
        is_open: which candidates are continued. None of a sentence: its search ends here.
        scores: `[N C]`, score of each candidate if EOS is its token; None: none of them ends.
        progress: of the hypotheses on the phrases that they must contain; None: no phrases.
    """

    partial: PartialHypotheses
    hypotheses: OpenHypotheses[Any]
    by_model: LogProbabilities
    ranked: LogProbabilities
    number: Int[Tensor, " N"]
    slots: Slots
    candidates: Candidates
    kept: Chosen
    is_open: Chosen
    scores: Float[Tensor, "N C"] | None
    progress: Progress | None


class SearchObserver(Protocol):
    """A function that is called after each step of a search.

    It must not be a dataclass or a tuple, as it is a part of a `Request`, whose trees of tensors
    are rebuilt (`map_tensors`).
    """

    def __call__(self, step: SearchStep) -> object:
        """Look at a step."""

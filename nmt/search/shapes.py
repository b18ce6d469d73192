"""Shared tensor shapes of searches: N sentences, R open hypotheses, C candidates of a sentence."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

# Log-probabilities of each token after each hypothesis.
LogProbabilities = Float[Tensor, "R V"]
# Log-probability of each hypothesis.
Totals = Float[Tensor, " R"]
# The hypotheses of each sentence; R: an empty slot.
Slots = Int[Tensor, "N W"]
# True = a chosen candidate.
Chosen = Bool[Tensor, "N C"]
# Tokens before which a word has ended, and tokens after which a word may begin.
WordEdges = Bool[Tensor, "2 V"]

"""Shared tensor shapes; docs/design.md lists the letters."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

# Tokens of text, or cells of a grid; padded on the right.
Source = Int[Tensor, "B S"] | Float[Tensor, "B S D"]
# Number of real tokens or cells.
Lengths = Int[Tensor, " B"]
# True = a real position.
Mask = Bool[Tensor, "B S"]
# Queries of the decoder.
Queries = Float[Tensor, "B T Q"]
# One projected query of each sentence, in the size of the keys.
Query = Float[Tensor, "B K"]
# Vectors that keys are computed from.
Inputs = Float[Tensor, "B S I"]
# Vectors that queries are compared with.
Keys = Float[Tensor, "B S K"]
# Vectors that attention averages.
Values = Float[Tensor, "B S H"]
# Attention scores or weights.
Scores = Float[Tensor, "B T S"]
# Attention scores or weights of one query of each sentence.
StepScores = Float[Tensor, "B S"]
# Word embeddings.
Embedded = Float[Tensor, "B T E"]
# Hidden states of the top layer.
Outputs = Float[Tensor, "B T H"]
# Input of the projection to the vocabulary.
Vectors = Float[Tensor, "B T O"]
# Weighted sums of the values.
Contexts = Float[Tensor, "B T C"]
# Pre-activations of the gates of a cell, or a summand of them.
Gates = Float[Tensor, "B G"]
# Pre-activations of the gates for T steps.
Steps = Float[Tensor, "B T G"]
# True = a real step.
StepMask = Bool[Tensor, "B T"]
# The state of each layer.
LayerStates = Float[Tensor, "B L Z"]
# The whole state of a cell.
State = Float[Tensor, "B Z"]
# The hidden state of a cell, or any vector of H numbers for each sentence.
Hidden = Float[Tensor, "B H"]

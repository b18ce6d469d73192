"""Shapes that many signatures share; docs/design.md lists the letters."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

# Tokens of text, or cells of a grid; padded on the right.
Source = Int[Tensor, "B S"] | Float[Tensor, "B S D"]
# How many of them are real.
Lengths = Int[Tensor, " B"]
# True = a real position.
Mask = Bool[Tensor, "B S"]
# What the decoder asks for.
Queries = Float[Tensor, "B T Q"]
# One query of each sentence, as it is compared with keys.
Query = Float[Tensor, "B K"]
# What keys are made of.
Inputs = Float[Tensor, "B S I"]
# What queries are compared with.
Keys = Float[Tensor, "B S K"]
# What attention reads.
Values = Float[Tensor, "B S H"]
# How well each position fits, or how much attention it gets.
Scores = Float[Tensor, "B T S"]
# The scores or the weights of one query of each sentence.
StepScores = Float[Tensor, "B S"]
# Vectors of words.
Embedded = Float[Tensor, "B T E"]
# Hidden states of the top layer.
Outputs = Float[Tensor, "B T H"]
# What the projection to the vocabulary reads.
Vectors = Float[Tensor, "B T O"]
# Values, weighted and summed.
Contexts = Float[Tensor, "B T C"]
# What is added up before the gates of a cell.
Gates = Float[Tensor, "B G"]
# The same of T steps.
Steps = Float[Tensor, "B T G"]
# True = a real step.
StepMask = Bool[Tensor, "B T"]
# The state of each layer.
LayerStates = Float[Tensor, "B L Z"]
# All that a cell carries from step to step.
State = Float[Tensor, "B Z"]
# The hidden state of a cell; any vector of H numbers for each sentence.
Hidden = Float[Tensor, "B H"]

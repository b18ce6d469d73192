"""Shapes that many signatures share; docs/design.md lists the letters."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

Source = Int[Tensor, "B S"] | Float[Tensor, "B S D"]
"""Tokens of text, or cells of a grid; padded on the right."""
Lengths = Int[Tensor, " B"]
"""How many of them are real."""
Mask = Bool[Tensor, "B S"]
"""True = a real position."""
Queries = Float[Tensor, "B T Q"]
"""What the decoder asks for."""
Query = Float[Tensor, "B K"]
"""One query of each sentence, as it is compared with keys."""
Inputs = Float[Tensor, "B S I"]
"""What keys are made of."""
Keys = Float[Tensor, "B S K"]
"""What queries are compared with."""
Values = Float[Tensor, "B S H"]
"""What attention reads."""
Scores = Float[Tensor, "B T S"]
"""How well each position fits, or how much attention it gets."""
StepScores = Float[Tensor, "B S"]
"""The scores or the weights of one query of each sentence."""
Embedded = Float[Tensor, "B T E"]
"""Vectors of words."""
Contexts = Float[Tensor, "B T C"]
"""Values, weighted and summed."""
Gates = Float[Tensor, "B G"]
"""What is added up before the gates of a cell."""
Steps = Float[Tensor, "B T G"]
"""The same of T steps."""
StepMask = Bool[Tensor, "B T"]
"""True = a real step."""
State = Float[Tensor, "B Z"]
"""All that a cell carries from step to step."""
Hidden = Float[Tensor, "B H"]
"""The hidden state of a cell; any vector of H numbers for each sentence."""

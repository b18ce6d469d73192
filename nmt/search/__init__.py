"""Search for the best hypotheses of a step function, independent of the model."""

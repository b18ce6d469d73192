"""Search: from a step function to the best hypotheses; knows no model."""

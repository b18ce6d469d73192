"""Data pipeline, from files of sentence pairs to batches of tensors."""

"""From files of sentence pairs to batches of tensors."""

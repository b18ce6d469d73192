"""Scheduled sampling: how often the decoder is fed its own words while it learns."""


def sampling_chance(update: int, start: int, end: int, probability: float) -> float:
    """The chance at an update: 0 until `start`, then rising linearly to `probability` at `end`.

    The linear schedule of Bengio 2015, section 2.4, with the chance of the model's own word (one
    minus their epsilon).
    """
    if update <= start:
        return 0.0
    if update >= end:
        return probability
    return probability * (update - start) / (end - start)

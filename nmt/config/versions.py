"""What configurations that earlier versions wrote mean in this one.

Version 1 let `dot` and `scaled_dot` project a memory of another size than the query, and so train
what `general` trains, number for number. Since version 2 only `general` has a projection.
"""

from typing import Any

from pydantic import ValidationError

from nmt.config.experiment import CONFIG_VERSION, RUN_KEYS
from nmt.config.model import DecoderConfig, read_encoder
from nmt.config.registry import SCORES
from nmt.config.tree import Tree


def upgrade(tree: Tree) -> Tree:
    """Return the options of one file in the words of this version.

    Args:
        tree: as it was read, of version 1. The scores of a whole configuration, as a run keeps
            it, get the names of what was trained; a file by hand means what it says.
    """
    tree = {**tree, "version": CONFIG_VERSION}
    return name_trained_score(tree) if tree.keys() >= RUN_KEYS else tree


def name_trained_score(tree: Tree) -> Tree:
    """Return the options with `general` for dot products of states of unequal sizes."""
    match tree.get("model"):
        case {"attention": {"score": str(name) | {"name": str(name)}} as attention, **others}:
            is_product = name in SCORES.classes and SCORES.classes[name].needs_equal_sizes
            if is_product and _have_unequal_sizes(others):
                attention = {**attention, "score": "general"}
                return {**tree, "model": {**others, "attention": attention}}
    return tree


def _have_unequal_sizes(model: Any) -> bool:
    try:
        encoder = read_encoder(model.get("encoder", {}))
        decoder = DecoderConfig.model_validate(model.get("decoder", {}))
    except ValidationError:
        return False  # which is refused where the whole is read
    return bool(encoder.output_size != decoder.hidden_size)

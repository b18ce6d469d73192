"""Migration of configurations from earlier versions.

In version 1, `dot` and `scaled_dot` projected a memory whose size differed from the query, which
trained exactly the same model as `general`. Since version 2 only `general` has a projection.
"""

from typing import Any

from pydantic import ValidationError

from nmt.config.experiment import CONFIG_VERSION, RUN_KEYS
from nmt.config.model import ModelConfig
from nmt.config.registry import SCORES
from nmt.config.tree import Tree


def upgrade(tree: Tree) -> Tree:
    """Convert the options of one file to the current version.

    Args:
        tree: options of version 1, as read. In the complete configuration of a run, scores are
            renamed to what was trained; a file written by hand is taken literally.
    """
    tree = {**tree, "version": CONFIG_VERSION}
    return name_trained_score(tree) if tree.keys() >= RUN_KEYS else tree


def name_trained_score(tree: Tree) -> Tree:
    """Return the options with `general` for dot-product scores of states of unequal sizes."""
    match tree.get("model"):
        case {"attention": {"score": str(name) | {"name": str(name)}} as attention, **others}:
            is_product = name in SCORES.classes and SCORES.classes[name].needs_equal_sizes
            if is_product and _have_unequal_sizes(others):
                attention = {**attention, "score": "general"}
                return {**tree, "model": {**others, "attention": attention}}
    return tree


def _have_unequal_sizes(parts: Any) -> bool:
    sized = {key: parts[key] for key in ("encoder", "decoder") if key in parts}
    try:
        model = ModelConfig.model_validate(sized)
    except ValidationError:
        return False  # reported when the whole configuration is validated
    return model.encoder_size != model.decoder.hidden_size

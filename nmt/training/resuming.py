"""Whether a run can go on with the configuration that it is given now."""

import fnmatch
from typing import Any, Final

from nmt.config import Config
from nmt.errors import ConfigError

# What may change between two legs of a run: where it stops, what it says, where it computes.
# None of it changes what an update does.
HARMLESS: Final = (
    "run",
    "device",
    "data.test.*",
    "data.test",
    "data.cache",
    "training.max_epochs",
    "training.max_updates",
    "training.max_bad_updates",
    "training.early_stopping.patience",
    "training.validation.num_samples",
    "training.checkpoints.*",
    "training.log_every",
    "training.tensorboard",
    "training.num_threads",
)


def require_same(before: Config, now: Config) -> None:
    """Refuse to go on with options that would make it another experiment.

    Raises:
        ConfigError: names the options that differ, but for those in `HARMLESS`.
    """
    old, new = _flat(before.model_dump(mode="json")), _flat(now.model_dump(mode="json"))
    changed = [
        f"{key} ({old.get(key, 'not set')} -> {new.get(key, 'not set')})"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
        and not any(fnmatch.fnmatchcase(key, pattern) for pattern in HARMLESS)
    ]
    if changed:
        raise ConfigError(
            f"--resume: the run was started with other options: {', '.join(changed)}; put them "
            "back, or start another run with run=PATH"
        )


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf by its dotted key; a list is a leaf, and so is an empty mapping."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else key))
    return flat

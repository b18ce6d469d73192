"""In what two configurations differ."""

from collections.abc import Mapping
from typing import Any

from nmt.explain import show


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """What each option that differs was and is, as ``before -> now``, by its dotted key.

    Args:
        before: options, as pydantic's `model_dump(mode="json")` gives them.
        now: the same of another configuration.
    """
    old, new = _flat(before), _flat(now)
    return {
        key: f"{_told(old, key)} -> {_told(new, key)}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    }


def _told(options: Mapping[str, Any], key: str) -> str:
    return show(options[key]) if key in options else "not set"


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Every leaf by its dotted key; a list is a leaf, and so is an empty mapping."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else key))
    return flat

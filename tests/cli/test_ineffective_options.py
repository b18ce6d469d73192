from typing import Any

import pytest

from nmt.cli.config_checks import find_ineffective
from nmt.config.experiment import Config
from nmt.config.layers import Override

CORPUS = {"source": "a", "target": "b"}


def config(**options: Any) -> Config:
    return Config.model_validate(
        {"run": "r", "data": {"train": CORPUS, "valid": CORPUS}, **options}
    )


UNVALIDATED = {
    "data": {"train": CORPUS},
    "training": {"early_stopping": None, "validation": {"metrics": [], "best": "loss"}},
}


@pytest.mark.parametrize(
    ("override", "options", "reason"),
    [
        ("decoding.beam_size=3", {"decoding": {"search": "greedy"}}, "greedy search has no beam"),
        ("decoding.beam_size=3", {"decoding": {"search": "sampling"}}, "sampling search has no"),
        ("decoding.beam_size=3", {}, None),
        ("decoding.n_best=3", {"decoding": {"search": "greedy", "n_best": 3}}, "finds one trans"),
        ("decoding.n_best=3", {"decoding": {"search": "sampling", "n_best": 3}}, None),
        ("decoding.mbr_candidates=3", {}, "decoding.mbr is none"),
        ("decoding.mbr_candidates=5", {"decoding": {"mbr": "chrf", "mbr_candidates": 5}}, None),
        ("model.decoder.dropout=0.5", {}, "model.decoder.num_layers is 1"),
        ("model.decoder.dropout=0.5", {"model": {"decoder": {"num_layers": 2}}}, None),
        ("training.validation.every=5", UNVALIDATED, "there is no validation set (data.valid)"),
        ("training.validation.every=5", {}, None),
        ("tokenizer.lowercase=true", {"tokenizer": {"source_path": "t"}}, "tokenizer t is used"),
        ("tokenizer.lowercase=true", {"tokenizer": {"source_path": "t", "shared": False}}, None),
        ("tokenizer.lowercase=true", {}, None),
        ("seed=3", {}, None),
    ],
)
def test_an_option_without_effect_is_found(
    override: str, options: dict[str, Any], reason: str | None
) -> None:
    made = config(**options)
    found = list(find_ineffective(made, [Override(override, "--it 3"), Override(override)]))
    if reason is None:
        assert found == []
        return
    of_a_command, of_a_training = found
    assert of_a_command.startswith("--it 3: has no effect, as ")
    assert reason in of_a_command
    assert of_a_training == of_a_command.replace("--it 3", override)

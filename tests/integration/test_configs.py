"""Every file in configs/ loads, and all that it names can be built."""

from pathlib import Path

import pytest

from nmt.build.metrics import build_metrics
from nmt.build.model import build_model
from nmt.config.file import load_config
from nmt.config.registry import OPTIMIZERS, SCHEDULES, TOKENIZERS
from nmt.inference.loading import build_search
from nmt.text.characters import CharacterTrainer
from nmt.text.normalization import Normalizer

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


def test_configs_are_found() -> None:
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_config_loads_and_builds(path: Path) -> None:
    # What a base leaves open is said by the files that extend it.
    corpus = "{source: a, target: b}"
    open_ends = [f"data={{train: {corpus}, valid: {corpus}}}"]
    is_base = path.name in ("base.yaml", "narrow.yaml")
    config = load_config(path, open_ends if is_base else [])
    model = build_model(config.model, source_size=50, target_size=50)
    tokenizer = CharacterTrainer(Normalizer()).train(lambda: iter(["a b c"]))
    build_search(config.decoding, tokenizer)
    OPTIMIZERS.create(config.training.optimizer, model)
    SCHEDULES.create(config.training.schedule, 10_000)
    build_metrics(config.training.validation.metrics)
    TOKENIZERS.create(config.tokenizer, Normalizer())

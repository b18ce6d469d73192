"""Advice on valid options that are unlikely to train well."""

from typing import Final

from pydantic import ValidationError

from nmt.build.model import build_model
from nmt.config.experiment import Config
from nmt.config.model import ModelConfig
from nmt.config.registry import CELLS, OPTIMIZERS, TOKENIZERS
from nmt.training.optim.schedule import Schedule

_MOST_PARAMETERS: Final = 50  # per target token of an epoch; the Multi30k recipe has 15
_FITTING_PARAMETERS: Final = 15
_SIZES: Final = (256, 128, 64, 32, 16)  # of embeddings and encoder states, tried in this order
_KEYS: Final = {"embedding.size": 1, "encoder.hidden_size": 1, "decoder.hidden_size": 2}
_TOKENS_PER_ENTRY: Final = 50  # training tokens per vocabulary entry, to see most entries often
_LEAST_ENTRIES: Final = 300
_WARMUP_SHARE: Final = 10  # a good warm-up is a tenth of the training


def advise_on_warmup(schedule: Schedule) -> str | None:
    """Return advice on a warm-up that lasts as long as the training; None: the warm-up is fine."""
    warmup, total = schedule.warmup, schedule.total_updates
    if total is None or warmup < total:
        return None
    return (
        f"training.schedule.warmup: {warmup:,} updates, but the training has only {total:,}, so "
        f"the learning rate never peaks; set it to {total // _WARMUP_SHARE}, a tenth of them"
    )


def advise_on_rate(config: Config, schedule: Schedule) -> str | None:
    """Return advice on a learning rate that is far outside `Rates`; None: the rate is fine."""
    optimizer, model = config.training.optimizer, config.model
    rates = OPTIMIZERS.find(optimizer.name).rates
    if rates is None:
        return None
    is_plain = any(CELLS.find(cell.name).is_plain for cell in model.cells.values())
    highest = rates.highest / 2 if is_plain else rates.highest
    given = optimizer.options["learning_rate"]
    # Momentum multiplies the effect of a step; the rate peaks at the end of the warm-up.
    effect = schedule.factor(max(1, schedule.warmup)) / (1 - optimizer.options.get("momentum", 0.0))
    rate = given * effect
    if rates.lowest <= rate <= highest:
        return None
    what = f"{optimizer.name} with {'plain recurrent' if is_plain else 'gated'} cells"
    return (
        f"training.optimizer.learning_rate: {given:g} is far "
        f"{'below' if rate < rates.lowest else 'above'} the useful range of {what} "
        f"({rates.lowest / effect:g} to {highest / effect:g}); set it to {rates.usual / effect:g}"
    )


def advise_on_size(
    config: Config, num_parameters: int, num_tokens: int, source_size: int, target_size: int
) -> str | None:
    """Return advice on a model that is far too large for its corpus; None: the size is fine.

    Args:
        config: the experiment.
        num_parameters: number of parameters of the model.
        num_tokens: target tokens of the training data.
        source_size: entries of the source vocabulary, or channels of grids.
        target_size: entries of the target vocabulary.
    """
    if num_parameters <= _MOST_PARAMETERS * num_tokens:
        return None
    fitting = " ".join(_fitting(config, num_tokens, source_size, target_size))
    return (
        f"model: {num_parameters:,} parameters will memorize {num_tokens:,} target tokens; use "
        f"more text, or a smaller model: {fitting}"
    )


def _fitting(config: Config, num_tokens: int, source_size: int, target_size: int) -> list[str]:
    """Return overrides for the largest model that suits `num_tokens`, else for the smallest."""
    limit = _FITTING_PARAMETERS * num_tokens
    entries = max(_LEAST_ENTRIES, num_tokens // _TOKENS_PER_ENTRY)
    vocabulary = []
    has_size = "vocabulary_size" in TOKENIZERS.options(config.tokenizer.name).model_fields
    if has_size and config.start_from is None and entries < max(source_size, target_size):
        vocabulary = [f"tokenizer.vocabulary_size={entries}"]
        target_size = min(target_size, entries)
        source_size = source_size if config.reads_grids else min(source_size, entries)
    sizes: list[str] = []
    for size in _SIZES:
        model = _with_sizes(config.model, size)
        if model is None:
            continue
        built = build_model(model, source_size, target_size)
        sizes = [f"model.{key}={size * factor}" for key, factor in _KEYS.items()]
        if sum(parameter.numel() for parameter in built.parameters()) <= limit:
            break
    return [*sizes, *vocabulary]


def _with_sizes(model: ModelConfig, size: int) -> ModelConfig | None:
    """Return the model with embeddings of this size and matching states; None: not possible."""
    tree = model.model_dump(mode="json")
    for key, factor in _KEYS.items():
        part, option = key.split(".")
        tree[part][option] = size * factor
    try:
        return ModelConfig.model_validate(tree)
    except ValidationError:  # for example, the size must be divisible by the number of heads
        return None

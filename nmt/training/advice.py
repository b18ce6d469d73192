"""Advice on options that can be trained with, and should hardly be."""

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from nmt.build.model import build_model
from nmt.config.experiment import Config
from nmt.config.model import EncoderConfig, ModelConfig
from nmt.config.registry import TOKENIZERS
from nmt.training.optim.schedule import Schedule


@dataclass(frozen=True)
class Rates:
    """Learning rates that an optimizer trains with; beyond them nothing is learnt, or all is lost.

    Attributes:
        lowest: the least that learns in reasonable time.
        usual: a good first choice.
        highest: the most; half of it for plain recurrent networks, whose gates hold nothing back.
    """

    lowest: float
    usual: float
    highest: float


_RATES: Final = {
    "adam": Rates(1e-5, 1e-3, 2e-2),
    "adamw": Rates(1e-5, 1e-3, 2e-2),
    "sgd": Rates(1e-3, 0.5, 10.0),
}
_PLAIN_CELL: Final = "rnn"
_MOST_PARAMETERS: Final = 50  # for each target token of an epoch; the Multi30k recipe has 15
_FITTING_PARAMETERS: Final = 15
_SIZES: Final = (256, 128, 64, 32, 16)  # of embeddings and encoder states, to try in turn
_KEYS: Final = {"embedding.size": 1, "encoder.hidden_size": 1, "decoder.hidden_size": 2}
_TOKENS_PER_ENTRY: Final = 50  # of a vocabulary, so that most entries are seen often enough
_LEAST_ENTRIES: Final = 300
_WARMUP_SHARE: Final = 10  # a good warm-up is a tenth of the training


def advise_on_warmup(schedule: Schedule) -> str | None:
    """Return what to do about a warm-up that lasts as long as the training; None: nothing."""
    warmup, total = schedule.warmup, schedule.total_updates
    if total is None or warmup < total:
        return None
    return (
        f"training.schedule.warmup: {warmup:,} updates, of {total:,} in the whole training, so "
        "that the learning rate is never reached; set it to "
        f"{total // _WARMUP_SHARE}, a tenth of them"
    )


def advise_on_rate(config: Config, schedule: Schedule) -> str | None:
    """Return what to do about a learning rate far from what trains such a model; None: nothing."""
    optimizer, model = config.training.optimizer, config.model
    rates = _RATES.get(optimizer.name)
    if rates is None:
        return None
    cells = {model.decoder.cell.name}
    if isinstance(model.encoder, EncoderConfig):
        cells.add(model.encoder.cell.name)
    is_plain = _PLAIN_CELL in cells
    highest = rates.highest / 2 if is_plain else rates.highest
    given = optimizer.options["learning_rate"]
    # A step is repeated by the momentum; the rate is highest at the end of the warm-up.
    effect = schedule.factor(max(1, schedule.warmup)) / (1 - optimizer.options.get("momentum", 0.0))
    rate = given * effect
    if rates.lowest <= rate <= highest:
        return None
    what = f"{optimizer.name} with {'plain recurrent' if is_plain else 'gated'} cells"
    return (
        f"training.optimizer.learning_rate: {given:g} is far "
        f"{'below' if rate < rates.lowest else 'above'} what {what} learns with "
        f"({rates.lowest / effect:g} to {highest / effect:g}); set it to {rates.usual / effect:g}"
    )


def advise_on_size(
    config: Config, num_parameters: int, num_tokens: int, source_size: int, target_size: int
) -> str | None:
    """Return what to do about a model that is far too large for its corpus; None: nothing.

    Args:
        config: the experiment.
        num_parameters: of its model.
        num_tokens: target tokens of the training data.
        source_size: entries of the source vocabulary, or channels of grids.
        target_size: entries of the target vocabulary.
    """
    if num_parameters <= _MOST_PARAMETERS * num_tokens:
        return None
    fitting = " ".join(_fitting(config, num_tokens, source_size, target_size))
    return (
        f"model: {num_parameters:,} parameters for {num_tokens:,} target tokens, which they learn "
        f"by heart; use more text, or a small model: {fitting}"
    )


def _fitting(config: Config, num_tokens: int, source_size: int, target_size: int) -> list[str]:
    """Return overrides for the largest model that suits so many tokens, or the smallest."""
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
    """Return the model with embeddings of that size, and states to match; None: not possible."""
    tree = model.model_dump(mode="json")
    for key, factor in _KEYS.items():
        part, option = key.split(".")
        tree[part][option] = size * factor
    try:
        return ModelConfig.model_validate(tree)
    except ValidationError:  # heads, for one, divide some sizes only
        return None

"""The smallest and largest value of each option with a bound, and the next one beyond."""

from typing import Any

import pytest
from pydantic import ValidationError

from nmt.config import registry
from nmt.config.data import CorpusConfig, DataConfig, FilterConfig
from nmt.config.decoding import DecodingConfig, ShortlistConfig
from nmt.config.model import (
    AttentionConfig,
    DecoderConfig,
    EmbeddingConfig,
    ModelConfig,
)
from nmt.config.registry import Options
from nmt.config.training import (
    CheckpointConfig,
    EarlyStoppingConfig,
    GuidedAttentionConfig,
    ReinforceConfig,
    ScheduledSamplingConfig,
    TrainingConfig,
    ValidationConfig,
)

TINY = 1e-9
# What must be there for a group to be valid at all, and what another option would forbid.
NEEDED: dict[type[Options], dict[str, Any]] = {
    CorpusConfig: {"tsv": "a"},
    DataConfig: {"train": {"tsv": "a"}},
    ScheduledSamplingConfig: {"end": 9},
}

Bounds = tuple[list[Any], list[Any]]  # values that are allowed, and values that are refused


def whole(least: int, most: int) -> Bounds:
    return [least, most], [least - 1, most + 1]


SIZE = whole(1, 100_000)
AT_LEAST_0 = ([0, 7], [-1])
AT_LEAST_1 = ([1, 7], [0, -1])
SHARE = ([0.0, 1.0 - TINY], [-TINY, 1.0])  # of what is dropped, which all of it cannot be
CHANCE = ([0.0, 1.0], [-TINY, 1.0 + TINY])
NOT_NEGATIVE = ([0.0, 1_000.0], [-TINY, 1_000.1])
POSITIVE = ([TINY, 1_000.0], [0.0, -1.0, 1_000.1])
SCALE = ([0.001, 1_000.0], [0.0009, 1_000.1])
DECAY = ([0.0, 1.0 - TINY], [-TINY, 1.0])
BETWEEN = ([TINY, 1.0 - TINY], [0.0, 1.0])

GROUPS = [
    (CorpusConfig, "weight", POSITIVE),
    (FilterConfig, "max_length", AT_LEAST_1),
    (FilterConfig, "max_length_ratio", ([1.0, None], [1.0 - TINY])),
    (DataConfig, "encoding_processes", whole(0, 256)),
    (DataConfig, "num_processes", whole(0, 256)),
    (EmbeddingConfig, "size", SIZE),
    (EmbeddingConfig, "dropout", SHARE),
    (EmbeddingConfig, "word_dropout", SHARE),
    (AttentionConfig, "num_heads", whole(1, 1_000)),
    (DecoderConfig, "hidden_size", SIZE),
    (DecoderConfig, "num_layers", whole(1, 100)),
    (DecoderConfig, "dropout", SHARE),
    (DecoderConfig, "recurrent_dropout", SHARE),
    (DecoderConfig, "output_dropout", SHARE),
    (ScheduledSamplingConfig, "start", AT_LEAST_0),
    (ScheduledSamplingConfig, "end", AT_LEAST_1),
    (ScheduledSamplingConfig, "probability", CHANCE),
    (GuidedAttentionConfig, "weight", POSITIVE),
    (ReinforceConfig, "weight", NOT_NEGATIVE),
    (ReinforceConfig, "entropy", NOT_NEGATIVE),
    (ReinforceConfig, "discount", CHANCE),
    (EarlyStoppingConfig, "patience", AT_LEAST_1),
    (ValidationConfig, "every", AT_LEAST_1),
    (ValidationConfig, "beam_size", whole(1, 10_000)),
    (ValidationConfig, "num_samples", AT_LEAST_0),
    (CheckpointConfig, "every", AT_LEAST_1),
    (CheckpointConfig, "keep_last", AT_LEAST_1),
    (CheckpointConfig, "average_last", AT_LEAST_0),
    (TrainingConfig, "batch_tokens", AT_LEAST_1),
    (TrainingConfig, "batch_sentences", AT_LEAST_1),
    (TrainingConfig, "accumulate", AT_LEAST_1),
    (TrainingConfig, "clip_norm", ([TINY, 1e9], [0.0, -1.0])),
    (TrainingConfig, "label_smoothing", SHARE),
    (TrainingConfig, "r_drop", NOT_NEGATIVE),
    (TrainingConfig, "coverage_loss", NOT_NEGATIVE),
    (TrainingConfig, "ema_decay", BETWEEN),
    (TrainingConfig, "max_epochs", AT_LEAST_1),
    (TrainingConfig, "max_updates", AT_LEAST_1),
    (TrainingConfig, "max_bad_updates", AT_LEAST_1),
    (TrainingConfig, "log_every", AT_LEAST_1),
    (TrainingConfig, "num_threads", whole(1, 1_024)),
    (ShortlistConfig, "candidates", ([1, 64], [0, 65])),  # the lexicon of a run has 64
    (ShortlistConfig, "frequent", AT_LEAST_1),
    (DecodingConfig, "beam_size", whole(1, 10_000)),
    (DecodingConfig, "n_best", ([1, 5], [0, 6])),  # of a beam of 5
    (DecodingConfig, "min_length", AT_LEAST_0),
    (DecodingConfig, "max_length", whole(1, 10_000)),
    (DecodingConfig, "min_length_ratio", NOT_NEGATIVE),
    (DecodingConfig, "max_length_ratio", POSITIVE),
    (DecodingConfig, "no_repeat_ngram_size", AT_LEAST_0),
    (DecodingConfig, "repetition_penalty", ([1.0, 1_000.0], [1.0 - TINY, 1_000.1])),
    (DecodingConfig, "eos_threshold", POSITIVE),
    (DecodingConfig, "mbr_candidates", whole(1, 10_000)),
    (DecodingConfig, "batch_tokens", whole(1, 10_000_000)),
    (DecodingConfig, "max_source_length", whole(1, 100_000)),
]

ADAMS = ("adam", "adamw", "radam")

PLUG_INS = [
    ("TOKENIZERS", "sentencepiece", "vocabulary_size", whole(5, 500_000)),
    ("TOKENIZERS", "sentencepiece", "character_coverage", ([0.98, 1.0], [0.979, 1.0 + TINY])),
    ("TOKENIZERS", "sentencepiece", "sampling_alpha", DECAY),
    ("TOKENIZERS", "sentencepiece", "max_sentences", whole(1, 100_000_000)),
    ("TOKENIZERS", "sentencepiece", "seed", AT_LEAST_0),
    ("TOKENIZERS", "characters", "vocabulary_size", whole(6, 2_000_000)),
    ("TOKENIZERS", "characters", "min_count", AT_LEAST_1),
    ("TOKENIZERS", "words", "vocabulary_size", whole(5, 2_000_000)),
    ("TOKENIZERS", "words", "min_count", AT_LEAST_1),
    ("CELLS", "deep_gru", "depth", whole(1, 100)),
    ("CELLS", "zoneout_gru", "probability", CHANCE),
    ("CELLS", "zoneout_lstm", "memory_probability", CHANCE),
    ("CELLS", "zoneout_lstm", "hidden_probability", CHANCE),
    ("ENCODERS", "recurrent", "hidden_size", SIZE),
    ("ENCODERS", "recurrent", "num_layers", whole(1, 100)),
    ("ENCODERS", "recurrent", "dropout", SHARE),
    ("ENCODERS", "recurrent", "recurrent_dropout", SHARE),
    ("ENCODERS", "grid", "channels", SIZE),
    ("ENCODERS", "grid", "hidden_size", SIZE),
    ("ENCODERS", "grid", "max_rows", whole(1, 10_000)),
    ("ENCODERS", "grid", "max_columns", whole(1, 10_000)),
    ("ENCODERS", "grid", "dropout", SHARE),
    ("SCORES", "additive", "hidden_size", SIZE),
    ("SCORES", "concat", "hidden_size", SIZE),
    ("SCORES", "cosine", "initial_gain", SCALE),
    ("SCORES", "location", "max_positions", SIZE),
    ("SCORES", "location_aware", "num_filters", whole(1, 10_000)),
    ("SCORES", "location_aware", "width", ([1, 9_999], [0, 10_001])),
    ("ALIGNMENTS", "local_m", "window", whole(0, 100_000)),
    ("ALIGNMENTS", "local_p", "window", whole(1, 100_000)),
    ("ALIGNMENTS", "softmax", "temperature", SCALE),
    ("ALIGNMENTS", "entmax", "alpha", ([1.01, 10.0], [1.0, 10.1])),
    ("ALIGNMENTS", "gumbel", "temperature", SCALE),
    ("ALIGNMENTS", "monotonic", "noise", NOT_NEGATIVE),
    ("ALIGNMENTS", "hard", "expected", CHANCE),
    *(("OPTIMIZERS", name, "learning_rate", POSITIVE) for name in (*ADAMS, "adadelta", "sgd")),
    *(("OPTIMIZERS", name, "beta1", DECAY) for name in ADAMS),
    *(("OPTIMIZERS", name, "beta2", DECAY) for name in ADAMS),
    *(("OPTIMIZERS", name, "epsilon", ([1e-30, 1.0], [0.0, 1.1])) for name in (*ADAMS, "adadelta")),
    *(("OPTIMIZERS", name, "weight_decay", NOT_NEGATIVE) for name in ("adamw", "muon", "sgd")),
    *(("OPTIMIZERS", name, "momentum", DECAY) for name in ("muon", "sgd")),
    ("OPTIMIZERS", "adadelta", "rho", DECAY),
    ("OPTIMIZERS", "muon", "learning_rate", ([1e-30, 1_000.0], [0.0, 1e-31, 1_000.1])),
    ("OPTIMIZERS", "muon", "adamw_learning_rate", POSITIVE),
    ("LOSSES", "label_smoothing", "weight", SHARE),
    *(
        ("LOSSES", name, "weight", POSITIVE)
        for name in ("r_drop", "coverage_loss", "guided_attention", "entropy")
    ),
    ("LOSSES", "reinforce", "weight", NOT_NEGATIVE),
    ("LOSSES", "reinforce", "entropy", NOT_NEGATIVE),
    ("LOSSES", "reinforce", "discount", CHANCE),
    *(("SCHEDULES", name, "warmup", AT_LEAST_0) for name in ("constant", "plateau", "cosine")),
    ("SCHEDULES", "constant", "cooldown", AT_LEAST_0),
    ("SCHEDULES", "inverse_square_root", "warmup", AT_LEAST_1),
    ("SCHEDULES", "plateau", "patience", AT_LEAST_1),
    ("SCHEDULES", "plateau", "decay", BETWEEN),
    ("SCHEDULES", "plateau", "minimum", CHANCE),
    ("SCHEDULES", "cosine", "num_updates", AT_LEAST_1),
    ("SCHEDULES", "cosine", "final", CHANCE),
    ("METRICS", "chrf", "char_order", whole(1, 20)),
    ("METRICS", "chrf", "word_order", whole(0, 20)),
    ("METRICS", "chrf", "beta", whole(1, 1_000)),
    ("METRICS", "bleu", "smooth_value", NOT_NEGATIVE),
    ("SCORES", "coverage_fertility", "max_fertility", SCALE),
    ("SCORES", "coverage_gru", "coverage_size", whole(1, 10_000)),
    ("ALIGNMENTS", "monotonic", "initial_offset", ([-1_000.0, 1_000.0], [-1_000.1, 1_000.1])),
    ("LENGTH_PENALTIES", "gnmt", "alpha", ([0.0, 10.0], [-TINY, 10.1])),
    ("SEARCHES", "diverse_beam", "groups", whole(1, 10_000)),
    ("SEARCHES", "diverse_beam", "strength", NOT_NEGATIVE),
    ("SEARCHES", "sampling", "temperature", SCALE),
    ("SEARCHES", "sampling", "top_k", AT_LEAST_0),
    ("SEARCHES", "sampling", "top_p", ([TINY, 1.0], [0.0, 1.0 + TINY])),
    ("SEARCHES", "sampling", "epsilon", DECAY),
    ("SEARCHES", "sampling", "seed", ([0, 2**31 - 1], [-1, 2**31])),
]


def named(case: tuple[Any, ...]) -> str:
    return ".".join(part if isinstance(part, str) else part.__name__ for part in case[:-1])


@pytest.mark.parametrize(("group", "option", "bounds"), GROUPS, ids=map(named, GROUPS))
def test_the_bounds_of_an_option(group: type[Options], option: str, bounds: Bounds) -> None:
    allowed, refused = bounds
    for value in allowed:
        found = group.model_validate({**NEEDED.get(group, {}), option: value})
        assert getattr(found, option) == value
    for value in refused:
        with pytest.raises(ValidationError) as error:
            group.model_validate({**NEEDED.get(group, {}), option: value})
        assert option in str(error.value)


@pytest.mark.parametrize(("table", "name", "option", "bounds"), PLUG_INS, ids=map(named, PLUG_INS))
def test_the_bounds_of_an_option_of_a_plug_in(
    table: str, name: str, option: str, bounds: Bounds
) -> None:
    allowed, refused = bounds
    options = getattr(registry, table).options(name)
    needed = {"channels": 1} if name == "grid" else {}
    for value in allowed:
        assert getattr(options.model_validate({**needed, option: value}), option) == value
    for value in refused:
        with pytest.raises(ValidationError) as error:
            options.model_validate({**needed, option: value})
        assert option in str(error.value)


@pytest.mark.parametrize(
    ("group", "allowed", "refused", "told"),
    [
        (ScheduledSamplingConfig, {"start": 8, "end": 9}, {"start": 9, "end": 9}, "end"),
        (
            DecodingConfig,
            {"min_length": 9, "max_length": 9},
            {"min_length": 10, "max_length": 9},
            "min_length",
        ),
        (DecodingConfig, {"beam_size": 9, "n_best": 9}, {"beam_size": 9, "n_best": 10}, "n_best"),
        (
            DecodingConfig,
            {"mbr": "bleu", "beam_size": 9, "mbr_candidates": 9},
            {"mbr": "bleu", "beam_size": 9, "mbr_candidates": 10},
            "mbr",
        ),
        (
            DecodingConfig,
            {"mbr": "bleu", "search": "sampling", "mbr_candidates": 9, "n_best": 9},
            {"mbr": "bleu", "search": "sampling", "mbr_candidates": 9, "n_best": 10},
            "n_best",
        ),
        (
            ModelConfig,
            {"encoder": {"num_layers": 2, "residual": True}},
            {"encoder": {"residual": True}},
            "encoder.residual",
        ),
        (DecoderConfig, {"num_layers": 2, "residual": True}, {"residual": True}, "residual"),
    ],
)
def test_the_bounds_of_one_option_by_another(
    group: type[Options], allowed: dict[str, Any], refused: dict[str, Any], told: str
) -> None:
    group.model_validate(allowed)
    with pytest.raises(ValidationError) as error:
        group.model_validate(refused)
    assert told in str(error.value)

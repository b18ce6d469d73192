"""Trained runs, read from disk: one, or several that translate together."""

from collections.abc import Sequence
from pathlib import Path

import torch

from nmt.build.model import load_model
from nmt.build.search import build_search
from nmt.build.tokenizers import Tokenizers, load_tokenizers
from nmt.config.decoding import DecodingConfig
from nmt.core.errors import ConfigError
from nmt.inference.batch_inference import BatchRunner
from nmt.inference.shortlist import Shortlist, load_lexicon
from nmt.inference.unknown_words import Dictionary, read_dictionary
from nmt.nn.ensemble import Ensemble, Space
from nmt.nn.model import Model
from nmt.runs.directory import RunDirectory
from nmt.runs.run import Run
from nmt.search.rules import Rule
from nmt.system.device import AUTO, resolve_precision


def load_models(
    run: Run,
    tokenizers: Tokenizers,
    others: Sequence[str | Path],
    *,
    checkpoint: str,
    device: torch.device,
    space: Space,
) -> Model | Ensemble:
    """The model of a run, or the ensemble that it makes with others.

    Args:
        run: the first.
        tokenizers: of this run.
        others: runs whose models are averaged with it.
        checkpoint: best, last or step-N, of each.
        device: where to put them.
        space: what is averaged (`Ensemble`).

    Raises:
        RunError: a folder is no run, or incomplete, or damaged.
        ConfigError: a run reads or writes other tokens than the first.
    """
    models = [load_model(run, checkpoint, device, *tokenizers.sizes)]
    for folder in others:
        other = Run.open(folder)
        _require_same(tokenizers, load_tokenizers(other), run, other)
        models.append(load_model(other, checkpoint, device, *tokenizers.sizes))
    return Ensemble(models, space=space).eval() if others else models[0]


def choose_precision(
    run: Run, given: str | torch.dtype | None, device: torch.device
) -> torch.dtype:
    """Return what to compute in: what is given, or as the run was trained where the device can.

    Raises:
        ConfigError: the device cannot compute in what is given.
    """
    if given is not None:
        return resolve_precision(given, device)
    try:
        return resolve_precision(run.config.precision, device)
    except ConfigError:
        return resolve_precision(AUTO, device)


def load_runner(
    run: Run,
    tokenizers: Tokenizers,
    others: Sequence[str | Path],
    checkpoint: str,
    device: torch.device,
    dtype: torch.dtype,
    space: Space,
    rules: Sequence[Rule],
) -> BatchRunner:
    """Load the models, and make what translates with the options of the run's configuration.

    Args:
        run: the first.
        tokenizers: of this run.
        others: runs whose models are averaged with it.
        checkpoint: best, last or step-N, of each.
        device: where to put them.
        dtype: of the computation; int8 quantizes the models.
        space: what is averaged (`Ensemble`).
        rules: of the search, applied after those of the options.

    Raises:
        RunError: see `load_models`; or the run's lexicon cannot be used.
        ConfigError: likewise; or an option needs attention, and the model has none.
    """
    options = run.config.decoding
    search = build_search(options, tokenizers.target, rules)
    model = load_models(run, tokenizers, others, checkpoint=checkpoint, device=device, space=space)
    _require_attention(options, model)
    if dtype == torch.int8:
        model.quantize()
    shortlist = load_shortlist(options, run.folder, tokenizers)
    return BatchRunner(model, search, device, dtype, options.batch_tokens, shortlist=shortlist)


def _require_attention(config: DecodingConfig, model: Model | Ensemble) -> None:
    """Refuse what is read from attention of a model that has none.

    Raises:
        ConfigError: an option asks for it.
    """
    penalized = config.coverage_penalty.name != "none"
    for key, asked in (
        ("coverage_penalty", penalized),
        ("replace_unknown", config.replace_unknown),
    ):
        if asked and not model.has_attention:
            raise ConfigError(
                f"decoding.{key}: needs an attention, and the model has none (model.attention: "
                "null); leave it out"
            )


def load_shortlist(
    config: DecodingConfig, run: RunDirectory, tokenizers: Tokenizers
) -> Shortlist | None:
    """What translations may be made of; None: of anything.

    Raises:
        RunError: the run has no lexicon, or it cannot be used.
    """
    if config.shortlist is None:
        return None
    lexicon = load_lexicon(run, tokenizers.source, tokenizers.target)
    copies = tokenizers.source.fingerprint() == tokenizers.target.fingerprint()
    return Shortlist(lexicon, config.shortlist.candidates, config.shortlist.frequent, copies)


def load_dictionary(config: DecodingConfig) -> Dictionary | None:
    """What takes the place of unknown words; None: they are not written.

    Raises:
        DataError: the file is missing or malformed.
    """
    if not config.replace_unknown:
        return None
    return {} if config.dictionary is None else read_dictionary(Path(config.dictionary))


def _require_same(ours: Tokenizers, theirs: Tokenizers, run: Run, other: Run) -> None:
    for side, mine, yours in (
        ("source", ours.source, theirs.source),
        ("target", ours.target, theirs.target),
    ):
        if mine.fingerprint() != yours.fingerprint():
            raise ConfigError(
                f"{other.folder.path}: its {side} tokens are not those of {run.folder.path}: "
                "models translate together over one vocabulary; train them with the same tokenizer "
                "(tokenizer.source_path, or start_from)"
            )

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
from nmt.runs.run import Run, RunDirectory
from nmt.search.rules import Rule
from nmt.system.device import AUTO, resolve_device, resolve_precision


def load_runner(
    run: Run,
    tokenizers: Tokenizers,
    others: Sequence[str | Path],
    checkpoint: str,
    device: str | torch.device,
    precision: str | torch.dtype | None,
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
        precision: of the computation; int8 quantizes the models; None: as the run was trained where
            the device can.
        space: what is averaged (`Ensemble`).
        rules: of the search, applied after those of the options.

    Raises:
        RunError: a folder is not a run, or is incomplete or corrupted; or the run's lexicon cannot
            be used.
        ConfigError: this machine lacks the device or the precision; another run reads or writes
            other tokens than the first; or an option needs attention, and the model has none.
    """
    options = run.config.decoding
    device = resolve_device(device)
    dtype = _choose_precision(precision, run.config.precision, device)
    search = build_search(options, tokenizers.target, rules)
    runs = [run, *(_open_same(folder, run, tokenizers) for folder in others)]
    models = [load_model(each, checkpoint, device, *tokenizers.sizes) for each in runs]
    model = Ensemble(models, space=space).eval() if others else models[0]
    if dtype == torch.int8:
        model.quantize()
    shortlist = load_shortlist(options, run.folder, tokenizers)
    return BatchRunner(model, search, device, dtype, options.batch_tokens, shortlist=shortlist)


def _choose_precision(
    given: str | torch.dtype | None, trained: str, device: torch.device
) -> torch.dtype:
    """Return what is given, or what the run was trained in where the device can."""
    if given is not None:
        return resolve_precision(given, device)
    try:
        return resolve_precision(trained, device)
    except ConfigError:
        return resolve_precision(AUTO, device)


def _open_same(folder: str | Path, first: Run, ours: Tokenizers) -> Run:
    """Open a further run, which must read and write the tokens of the first."""
    run = Run.open(folder, decoding=first.config.decoding)  # which its model may not allow
    theirs = load_tokenizers(run)
    for side in ("source", "target"):
        if getattr(theirs, side).fingerprint() != getattr(ours, side).fingerprint():
            raise ConfigError(
                f"{run.folder.path}: its {side} tokens are not those of {first.folder.path}: "
                "models translate together over one vocabulary; train them with the same tokenizer "
                "(tokenizer.source_path, or start_from)"
            )
    return run


def load_shortlist(
    config: DecodingConfig, run: RunDirectory, tokenizers: Tokenizers
) -> Shortlist | None:
    """Load what translations may be made of; None: of anything.

    Raises:
        RunError: the run has no lexicon, or it cannot be used.
    """
    if config.shortlist is None:
        return None
    lexicon = load_lexicon(run, tokenizers.source, tokenizers.target)
    copies = tokenizers.source.fingerprint() == tokenizers.target.fingerprint()
    return Shortlist(lexicon, config.shortlist.candidates, config.shortlist.frequent, copies)


def load_dictionary(config: DecodingConfig) -> Dictionary | None:
    """Read what takes the place of unknown words; None: they are not written.

    Raises:
        DataError: the file is missing or malformed.
    """
    if not config.replace_unknown:
        return None
    return {} if config.dictionary is None else read_dictionary(Path(config.dictionary))

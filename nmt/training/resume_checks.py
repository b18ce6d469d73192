"""Checks that a run can be resumed with the present configuration."""

import fnmatch
import shlex
from typing import Any, Final

from nmt.build.data import build_corpus
from nmt.build.tokenizers import Tokenizers
from nmt.config.data import CorpusConfig
from nmt.config.experiment import Config
from nmt.config.tree import diff
from nmt.core.errors import ConfigError, RunError
from nmt.data.loader import DataLoader
from nmt.data.source_changes import sha256
from nmt.runs.checkpoint import is_checkpoint
from nmt.runs.run import BEST, LAST, RunDirectory
from nmt.training.early_stopping import MetricTracker
from nmt.training.logs.metrics_file import has_validations

DataIdentity = dict[str, Any]

# Options that may change when a run is resumed: limits, logging, hardware, decoding. They do not
# change the updates, except for rounding on another device or with another number of threads.
# (A schedule that depends on the limits checks them itself.)
CHANGEABLE_OPTIONS: Final = (
    "run",
    "device",
    "data.test.*",
    "data.test",
    "data.cache",
    "data.encoding_processes",
    "data.num_processes",
    "data.source_language",
    "data.target_language",
    "training.max_epochs",
    "training.max_updates",
    "training.max_bad_updates",
    "training.early_stopping.patience",
    "training.validation.num_samples",
    "training.checkpoints.*",
    "training.ranks.*",
    "training.log_every",
    "training.tensorboard",
    "training.num_threads",
    "decoding.*",
)


def require_same(before: Config, now: Config) -> list[str]:
    """Refuse options that would change the experiment of a resumed run.

    Returns:
        The options that have changed and may, each with the old and the new value.

    Raises:
        ConfigError: names the changed options that are not in `CHANGEABLE_OPTIONS`.
    """
    found = diff(before.model_dump(mode="json"), now.model_dump(mode="json"))
    changes = {key: f"{key} ({change})" for key, change in found.items()}
    refused = [changes[key] for key in changes if not _is_changeable(key)]
    if refused:
        raise ConfigError(
            f"--resume: the run was started with other options: {', '.join(refused)}; restore "
            "them, or start another run (run=PATH) from its weights "
            f"(start_from={shlex.quote(before.run)})"
        )
    return list(changes.values())


def _is_changeable(key: str) -> bool:
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in CHANGEABLE_OPTIONS)


def require_untrained(run: RunDirectory) -> None:
    """Refuse to restart a run that has results but no checkpoint `last`.

    A killed process does not leave such a run, because `last` is saved before any other result.

    Raises:
        RunError: names what is missing and what to do.
    """
    kept = sorted(path.name for path in run.checkpoints.glob("*") if is_checkpoint(path))
    if not kept and not run.results.exists() and not has_validations(run.metrics):
        return
    start = f"start another run from its best weights (start_from={run.path} run=PATH), "
    raise RunError(
        f"{run.checkpoint(LAST)}: missing, so the run cannot be resumed; restore it from a copy, "
        f"{start if BEST in kept else ''}or train from the beginning with --overwrite, which "
        "deletes the run"
    )


def require_best(run: RunDirectory, best: MetricTracker) -> None:
    """Refuse to continue a run whose best checkpoint is missing.

    Worse weights would not replace it, so the run could end without a best checkpoint.

    Raises:
        RunError: names the checkpoint and what to do.
    """
    if best.best is None or is_checkpoint(run.checkpoint(BEST)):
        return
    raise RunError(
        f"{run.checkpoint(BEST)}: missing, but the run had one ({best}); restore it from a copy, "
        f"or put another checkpoint of {run.checkpoints} in its place"
    )


def data_identity(config: Config, tokenizers: Tokenizers, loader: DataLoader) -> DataIdentity:
    """Return what identifies the training and validation data of a run, for its checkpoint.

    Raises:
        DataError: a file of the validation set cannot be read.
    """
    valid, decoding = config.data.valid, {}
    if valid is not None and config.training.validation.metrics:
        decoding = config.validation_decoding.model_dump(mode="json", exclude={"batch_tokens"})
    return {
        "tokenizers": [tokenizers.source.fingerprint(), tokenizers.target.fingerprint()],
        "corpora": [corpus.key for corpus in loader.corpora],
        "valid": [] if valid is None else [sha256(path) for path in build_corpus(valid).paths],
        "decoding": decoding,
    }


def require_same_data(
    config: Config, run: RunDirectory, before: DataIdentity, now: DataIdentity
) -> None:
    """Refuse text or tokenizers that have changed since the run was started.

    With another validation set or other decoding options, scores could not be compared with the
    best so far.

    Raises:
        RunError: names what has changed.
    """
    if before["tokenizers"] != now["tokenizers"]:
        raise RunError(
            f"{run.path}: its tokenizers have changed since it was started; restore them from a "
            "copy, or start another run with run=PATH"
        )
    for corpus, old, new in zip(config.data.train, before["corpora"], now["corpora"], strict=True):
        if old != new:
            raise _changed(corpus, "the text")
    valid = config.data.valid
    # Checkpoints of earlier versions lack "valid", "decoding" or some of its options.
    if valid is not None and "valid" in before and before["valid"] != now["valid"]:
        raise _changed(valid, "the validation set")
    if "decoding" not in before:
        return
    known = {key: value for key, value in now["decoding"].items() if key in before["decoding"]}
    if changed := diff(before["decoding"], known):
        listed = ", ".join(f"decoding.{key} ({change})" for key, change in changed.items())
        raise RunError(
            f"--resume: validation would use other decoding options than before: {listed}; restore "
            "them, so that scores stay comparable, or start another run with start_from"
        )


def _changed(corpus: CorpusConfig, what: str) -> RunError:
    return RunError(
        f"{build_corpus(corpus)}: {what} has changed since the run was started; restore it, or "
        "start another run with run=PATH"
    )

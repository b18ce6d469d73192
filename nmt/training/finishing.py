"""The end of a training: average the last weights, and score the test set."""

import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from nmt.build.data import build_corpus
from nmt.build.metrics import TEST_METRICS, build_metrics
from nmt.config.experiment import Config
from nmt.evaluation.metric import Score
from nmt.inference.translator import Translator
from nmt.runs.run import RunDirectory
from nmt.system.files import write_text
from nmt.training.optim.averaging import average_weights, swapped_weights
from nmt.training.saved_state import save_state
from nmt.training.signals import Interruption
from nmt.training.state import TrainingState
from nmt.training.validation import on_all_ranks, translate_lines

logger = logging.getLogger(__name__)


def finish(
    config: Config, state: TrainingState, reason: str, interruption: Interruption
) -> Sequence[Score]:
    """Average weights, score the test set, and mark the run as finished; return the test scores.

    Raises:
        Interrupted: a stop was requested; resuming repeats this part.
    """
    keep_average_if_better(state, interruption)
    scores = score_test_set(config, state, interruption)
    results = {
        "reason": reason,
        "updates": state.counters.update,
        "epochs": state.counters.epoch - 1 + (state.counters.batch > 0),
        "training_seconds": round(state.counters.seconds, 1),
        "num_parameters": sum(parameter.numel() for parameter in state.model.parameters()),
        "best": {"metric": state.best.metric, **state.best.state()},
        "test": [asdict(score) for score in scores],
    }
    if state.group.is_first:
        write_text(state.run.results, json.dumps(results, indent=2) + "\n")
    state.reporter.draw_curves()
    state.counters.is_finished = True
    save_state(state)
    logger.info("%s", describe_result(state))
    return scores


def keep_average_if_better(state: TrainingState, interruption: Interruption) -> None:
    """Average the last snapshots, and save the average as the best if it validates better."""
    # Broadcast from the first process, which has written all snapshots by now.
    updates = state.group.broadcast(state.snapshots.latest(state.config.checkpoints.average_last))
    if state.validator is None or len(updates) < 2:
        return
    average = average_weights(state.snapshots.weights(updates))
    with swapped_weights(state.model, average):
        validation = state.validator(interruption)
    value = validation.value(state.best.metric)
    improved = state.best.is_better(value, validation.loss)
    verdict = "kept as the best" if improved else f"not kept, as {state.best} is better"
    logger.info("average of %d snapshots: %s - %s", len(updates), validation, verdict)
    if improved:
        update = state.counters.update
        state.best.observe(value, update, validation.loss)
        facts = {"loss": validation.loss, "scores": validation.as_dict(), "average_of": updates}
        if state.group.is_first:
            state.snapshots.save_best(average, {"update": update, **facts})


def has_results(config: Config, state: TrainingState) -> bool:
    """Return whether all files that `finish` writes exist; every process must call it."""
    files = [state.run.results]
    if config.data.test is not None:
        files.append(_test_translations(state.run))
    return state.group.broadcast(all(path.is_file() for path in files))


def score_test_set(
    config: Config, state: TrainingState, interruption: Interruption
) -> Sequence[Score]:
    """Translate the test set with the best model, as `nmt translate` would, and score it."""
    if config.data.test is None:
        return []
    run, group = state.run, state.group
    pairs = list(build_corpus(config.data.test).read_pairs())
    sources = [source for source, _ in pairs]
    group.broadcast(None)  # wait until the best model has been written
    translator = Translator.from_run(run.path, device=config.device, precision=config.precision)
    translate = partial(translate_lines, lines=sources, interruption=interruption)
    texts = on_all_ranks(group, translator, interruption, translate)
    scores: list[Score] = []
    if group.is_first:
        run.translations.mkdir(exist_ok=True)
        write_text(_test_translations(run), "".join(f"{text}\n" for text in texts))
        references = [reference for _, reference in pairs]
        validation = config.training.validation
        labels = [*TEST_METRICS, *(metric.label for metric in validation.metrics)]
        metrics = build_metrics(map(validation.find_metric, dict.fromkeys(labels)))
        scores = [metric(texts, references) for metric in metrics]
    scores = group.broadcast(scores)
    for score in scores:
        logger.info("test %s %.2f  %s", score.name, score.value, score.signature)
    return scores


def _test_translations(run: RunDirectory) -> Path:
    return run.translations / "test.txt"


def describe_result(state: TrainingState) -> str:
    """Describe where the model is, and how to use it."""
    path, best = state.run.path, state.best
    model = f"the best model ({best})"
    if best.best is None:
        model = f"the latest model (update {state.counters.update:,})"
    return f"{model} is in {path}; `nmt translate {shlex.quote(str(path))} FILE` uses it"

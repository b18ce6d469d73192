"""The end of a training: the average of the last weights, and the score on the test set."""

import json
import logging
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nmt.build.data import build_corpus
from nmt.build.metrics import TEST_METRICS, build_metrics
from nmt.config.experiment import Config
from nmt.data.formats.corpus import read_pairs
from nmt.evaluation.metric import Score
from nmt.inference.translator import Translator
from nmt.runs.directory import RunDirectory
from nmt.system.atomic_files import write_text
from nmt.training.optim.checkpoint_averaging import average_weights
from nmt.training.signals import Interruption
from nmt.training.state import Engine
from nmt.training.swapped_weights import holding
from nmt.training.validation import together, translate_lines

logger = logging.getLogger(__name__)


def finish(
    config: Config, engine: Engine, reason: str, interruption: Interruption
) -> Sequence[Score]:
    """Average, score the test set, and note that the run is finished; the test scores.

    Raises `Interrupted` where an end is asked for in the meantime; resuming does this part again.
    """
    keep_average_where_better(engine, interruption)
    scores = score_test_set(config, engine, interruption)
    results = {
        "reason": reason,
        "updates": engine.counters.update,
        "epochs": engine.counters.epoch - 1 + (engine.counters.batch > 0),
        "training_seconds": round(engine.counters.seconds, 1),
        "num_parameters": sum(parameter.numel() for parameter in engine.model.parameters()),
        "best": {"metric": engine.best.metric, **engine.best.state()},
        "test": [asdict(score) for score in scores],
    }
    if engine.group.is_first:
        write_text(engine.run.results, json.dumps(results, indent=2) + "\n")
    engine.reporter.draw_curves()
    engine.counters.is_finished = True
    engine.save()
    logger.info("%s", describe_result(engine))
    return scores


def has_results(config: Config, engine: Engine) -> bool:
    """Return whether the files that `finish` writes are all there; every process must call it."""
    files = [engine.run.results]
    if config.data.test is not None:
        files.append(_test_translations(engine.run))
    return engine.group.broadcast(all(path.is_file() for path in files))


def keep_average_where_better(engine: Engine, interruption: Interruption) -> None:
    """Average the last snapshots, and keep that as the best where it validates better."""
    # (The first, which has written them all by the time that it tells.)
    updates = engine.group.broadcast(
        engine.snapshots.latest(engine.config.checkpoints.average_last)
    )
    if engine.validator is None or len(updates) < 2:
        return
    average = average_weights(engine.snapshots.weights(updates))
    with holding(engine.model, average):
        validation = engine.validator(interruption)
    value = validation.value(engine.best.metric)
    improved = engine.best.is_better(value, validation.loss)
    verdict = "kept as the best" if improved else f"not kept, better is {engine.best}"
    logger.info("average of %d snapshots: %s - %s", len(updates), validation, verdict)
    if improved:
        update = engine.counters.update
        engine.best.observe(value, update, validation.loss)
        facts = {"loss": validation.loss, "scores": validation.as_dict(), "average_of": updates}
        if engine.group.is_first:
            engine.snapshots.save_best(average, {"update": update, **facts})


def score_test_set(config: Config, engine: Engine, interruption: Interruption) -> Sequence[Score]:
    """Translate the test set with the best model, as `nmt translate` would, and score that."""
    if config.data.test is None:
        return []
    run, group = engine.run, engine.group
    pairs = list(read_pairs(build_corpus(config.data.test)))
    sources = [source for source, _ in pairs]
    group.broadcast(None)  # the best model has been written
    translator = Translator.from_run(run.path, device=config.device, precision=config.precision)
    texts = together(
        group,
        translator,
        interruption,
        lambda shared: translate_lines(shared, sources, interruption),
    )
    if group.is_first:
        run.translations.mkdir(exist_ok=True)
        write_text(_test_translations(run), "".join(f"{text}\n" for text in texts))
    references = [reference for _, reference in pairs]
    validation = config.training.validation
    own = [metric.label for metric in validation.metrics]
    labels = dict.fromkeys([*TEST_METRICS, *own])
    scores: list[Score] = []
    if group.is_first:
        metrics = build_metrics(map(validation.named, labels))
        scores = [metric(texts, references) for metric in metrics]
    scores = group.broadcast(scores)
    for score in scores:
        logger.info("test %s %.2f  %s", score.name, score.value, score.signature)
    return scores


def _test_translations(run: RunDirectory) -> Path:
    return run.translations / "test.txt"


def describe_result(engine: Engine) -> str:
    """Where the model is, and how to use it."""
    path, best = engine.run.path, engine.best
    model = f"the best model ({best})"
    if best.best is None:
        model = f"the latest model (update {engine.counters.update:,})"
    return f"{model} is in {path}; `nmt translate {shlex.quote(str(path))} FILE` uses it"

"""`nmt evaluate`: score a run on a test set.

Translate a test set with a trained run, and score the translations against the references, as raw,
detokenized text. Each score is printed with a signature of how it was computed (sacreBLEU's, except
for exact match); report both. The settings of the evaluation are printed on stderr.

examples:
  nmt evaluate runs/toy
  nmt evaluate runs/toy --beam-size 1 --metrics bleu,ter
  nmt evaluate runs/toy --metrics 'bleu,{name: bleu, tokenize: zh, as: zh},{name: chrf, beta: 1}'
  nmt evaluate runs/toy --source news.en --reference news.de --json news.json -o news.out
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.arguments import SearchArguments, option, output_path, path
from nmt.cli.held_out import METRIC_HELP, HeldOutArguments, named_metrics, source_option
from nmt.cli.outputs import check_files, open_if_given
from nmt.core.console import print_notice

if TYPE_CHECKING:
    from nmt.config.data import CorpusConfig
    from nmt.config.decoding import DecodingConfig
    from nmt.config.experiment import Config
    from nmt.evaluation.metric import Metric, Score


@dataclass(frozen=True, kw_only=True)
class Arguments(SearchArguments, HeldOutArguments):
    """Arguments of the command."""

    source: str | None = source_option("test")
    metrics: str | None = option(
        "LIST", f"metrics, separated by commas, each {METRIC_HELP} (default: all)"
    )
    json: Path | None = path("write scores, signatures and settings to this file")
    output: Path | None = output_path("write the translations to this file")


def run(arguments: Arguments) -> int:
    """Translate the test set, score it, and print a line for each metric."""
    from nmt.build.data import build_corpus
    from nmt.build.metrics import warn_about_normalization
    from nmt.inference.inputs import LineWarnings
    from nmt.runs.checkpoint import update_of

    run = arguments.open_run()
    metrics = _metrics(arguments.metrics, run.config)
    corpus = arguments.find_corpus(run.config, "test")
    outputs = {"-o": arguments.output, "--json": arguments.json}
    read = [*corpus.files().values(), *arguments.reference]
    check_files(outputs, read, run, arguments.ensemble)
    config, files = run.config, build_corpus(corpus)
    sources, references = arguments.read_corpus(corpus)
    translator = arguments.load_translator(run)
    normalizer = translator.target_tokenizer.normalizer
    for name, lines in zip([str(files), *arguments.reference[1:]], references, strict=True):
        warn_about_normalization(name, lines, normalizer, metrics)
    update = update_of(run.folder.checkpoint(arguments.checkpoint))
    print_notice(
        f"{arguments.run}, checkpoint {arguments.checkpoint} (update {update:,}), on "
        f"{files}: {len(sources):,} sentences, {_describe(config.decoding)}"
    )
    # Open both files first, as the work may take long.
    with open_if_given(arguments.output) as output, open_if_given(arguments.json) as record:
        warnings = LineWarnings()
        windows = translator.translate_windows(sources, warnings=warnings)
        texts = [translation.text for window in windows for _, translation in window]
        warnings.sum_up_unknown()
        if output is not None:
            output.writelines(f"{text}\n" for text in texts)
        scores = [metric(texts, *references) for metric in metrics]
        if record is not None:
            json.dump(_record(arguments, config, corpus, scores, len(texts)), record, indent=2)
            record.write("\n")
    print(format_scores([metric.describe() for metric in metrics], scores))
    return 0


def format_scores(titles: Sequence[str], scores: "Sequence[Score]") -> str:
    """Return a table for the terminal: a line for each score, with its signature."""
    width = max(len(title) for title in titles)
    return "\n".join(
        f"{title:<{width}}  {score.value:6.2f}  {score.signature}"
        for title, score in zip(titles, scores, strict=True)
    )


def _describe(decoding: "DecodingConfig") -> str:
    """Describe the search that translated the test set."""
    size = f" of {decoding.beam_size}" if decoding.has_beam else ""
    parts = [f"{decoding.search.name} search{size}"]
    parts.append(f"length penalty {decoding.length_penalty.name}")
    if decoding.coverage_penalty.name != "none":
        parts.append(f"coverage penalty {decoding.coverage_penalty.name}")
    if decoding.mbr != "none":
        parts.append(f"mbr {decoding.mbr} of {decoding.mbr_candidates} candidates")
    return ", ".join(parts)


def _metrics(given: str | None, config: "Config") -> "list[Metric]":
    """Return the named metrics; without names, all metrics of the table and of the run."""
    from nmt.build.metrics import build_metrics
    from nmt.config.registry import METRICS

    if given is not None:
        return build_metrics(named_metrics("--metrics", given, config))
    validation = config.training.validation
    own = [metric.label for metric in validation.metrics]
    return build_metrics(map(validation.find_metric, dict.fromkeys([*METRICS.classes, *own])))


def _record(
    arguments: Arguments,
    config: "Config",
    corpus: "CorpusConfig",
    scores: "Sequence[Score]",
    num_sentences: int,
) -> dict[str, object]:
    """Return the scores with all settings to reproduce them."""
    return {
        "run": arguments.run,
        "checkpoint": arguments.checkpoint,
        "ensemble": arguments.ensemble,
        "average": arguments.average,
        "test_set": corpus.model_dump(mode="json", exclude_none=True, exclude={"weight"}),
        "references": arguments.reference,
        "num_sentences": num_sentences,
        "decoding": config.decoding.model_dump(mode="json"),
        "scores": [asdict(score) for score in scores],
    }

"""`nmt evaluate`: scores of a run on a test set, with signatures."""

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.commands.decoding import (
    add_run_arguments,
    add_search_arguments,
    load_run,
    load_translator,
)
from nmt.commands.output import open_output, refuse_same_file
from nmt.commands.preconditions import (
    add_held_out_arguments,
    held_out_corpus,
    require_metric,
)
from nmt.commands.text import add_line_limit
from nmt.console import print_notice

if TYPE_CHECKING:
    from nmt.config import Config, CorpusConfig, DecodingConfig
    from nmt.metrics import Metric, Score

DESCRIPTION = """Translate a test set with a trained run and score the translations against the
references, all as raw, detokenized text. Each figure comes with a signature that says how it was
computed (sacreBLEU's, but of exact match): quote both. What was measured is told on stderr."""

EXAMPLES = """examples:
  nmt evaluate runs/toy
  nmt evaluate runs/toy --beam-size 1 --metrics bleu,ter
  nmt evaluate runs/toy --source news.en --reference news.de --json news.json -o news.out"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    add_held_out_arguments(parser, "test")
    parser.add_argument(
        "--metrics",
        metavar="LIST",
        help="which, with commas between: bleu, chrf, ter... (default: all there are)",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=Path, help="write scores, signatures and settings here"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write the translations here"
    )
    add_line_limit(parser)
    add_search_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Translate the test set, score it, and print a line for each metric."""
    names = _metric_names(arguments.metrics)
    folder, config = load_run(arguments)
    corpus = held_out_corpus(arguments, config, "test")
    outputs = {"-o": arguments.output, "--json": arguments.json}
    refuse_same_file(outputs, [corpus.source, corpus.target, corpus.tsv])

    from nmt.build_corpus import build_corpus
    from nmt.checkpoint import update_of
    from nmt.config import METRICS
    from nmt.data.corpus import read_pairs

    files = build_corpus(corpus, arguments.max_line_bytes)
    sources, references = zip(*read_pairs(files), strict=True)
    metrics: list[Metric] = [METRICS.get(name)() for name in names]
    translator = load_translator(folder, config, arguments)
    update = update_of(folder.checkpoint(arguments.checkpoint))
    print_notice(
        f"{arguments.run}, checkpoint {arguments.checkpoint} (update {update:,}), on "
        f"{files}: {len(sources):,} sentences, {_describe(config.decoding)}"
    )
    with ExitStack() as stack:  # both files before the work, for it may be long
        output, record = (
            None if path is None else stack.enter_context(open_output(path))
            for path in (arguments.output, arguments.json)
        )
        texts = [translation.text for translation in translator.translate(sources)]
        if output is not None:
            output.writelines(f"{text}\n" for text in texts)
        scores = [metric(texts, references) for metric in metrics]
        if record is not None:
            json.dump(_record(arguments, config, corpus, scores, len(texts)), record, indent=2)
            record.write("\n")
    print(format_scores([metric.title for metric in metrics], scores))
    return 0


def format_scores(titles: Sequence[str], scores: "Sequence[Score]") -> str:
    """A table for the terminal: a line for each score, with its signature."""
    width = max(len(title) for title in titles)
    return "\n".join(
        f"{title:<{width}}  {score.value:6.2f}  {score.signature}"
        for title, score in zip(titles, scores, strict=True)
    )


def _describe(decoding: "DecodingConfig") -> str:
    """How it was translated, in words."""
    size = f" of {decoding.beam_size}" if decoding.has_beam else ""
    parts = [f"{decoding.search.name} search{size}"]
    parts.append(f"length penalty {decoding.length_penalty.name}")
    if decoding.coverage_penalty.name != "none":
        parts.append(f"coverage penalty {decoding.coverage_penalty.name}")
    if decoding.mbr != "none":
        parts.append(f"mbr {decoding.mbr} of {decoding.mbr_candidates} candidates")
    return ", ".join(parts)


def _metric_names(given: str | None) -> list[str]:
    from nmt.config import METRICS

    if given is None:
        return METRICS.names()
    names = [name.strip() for name in given.split(",")]
    for name in names:
        require_metric("--metrics", name)
    return names


def _record(
    arguments: argparse.Namespace,
    config: "Config",
    corpus: "CorpusConfig",
    scores: "Sequence[Score]",
    num_sentences: int,
) -> dict[str, object]:
    """All that is needed to tell what the figures are of."""
    return {
        "run": arguments.run,
        "checkpoint": arguments.checkpoint,
        "ensemble": arguments.ensemble,
        "average": arguments.average,
        "test_set": corpus.model_dump(exclude_none=True, exclude={"weight"}),
        "num_sentences": num_sentences,
        "decoding": config.decoding.model_dump(mode="json"),
        "scores": [asdict(score) for score in scores],
    }

"""`nmt tune`: length and coverage penalty chosen on the validation set."""

import argparse
import sys
from itertools import product
from typing import TYPE_CHECKING

from nmt.commands.decoding import (
    add_run_arguments,
    add_search_arguments,
    load_run,
    load_translator,
    penalty_option,
)
from nmt.commands.preconditions import held_out_corpus
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.config import Config
    from nmt.registry import PlugIn
    from nmt.run import RunDirectory

DESCRIPTION = """Translate the validation set of a run with each of several length and coverage
penalties, print what comes of each, and write the best into the run's configuration, so that
`nmt translate` has it from now on. Of equal ones the first is taken. Never tune on the set that you
report."""

EXAMPLES = """penalties: none, average, word_reward, or a number: gnmt with this alpha; of coverage:
  none, or a number: gnmt with this beta

examples:
  nmt tune runs/toy
  nmt tune runs/toy --length-penalties average,0.6,1.0 --coverage-penalties none,0.1 --metric chrf
  nmt tune runs/toy --beam-size 12 --dry-run"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    parser.add_argument(
        "--source", metavar="FILE", help="source sentences (default: the run's validation set)"
    )
    parser.add_argument("--reference", metavar="FILE", help="their reference translations")
    parser.add_argument(
        "--length-penalties",
        metavar="LIST",
        default="none,average,0.6,0.8,1.0,1.2",
        help="which to try, with commas between (default: none,average,0.6,0.8,1.0,1.2)",
    )
    parser.add_argument(
        "--coverage-penalties",
        metavar="LIST",
        default="none",
        help="which to try with each of them (default: none)",
    )
    parser.add_argument(
        "--metric", metavar="NAME", default="bleu", help="what is best (default: bleu)"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="leave the run's configuration as it is"
    )
    add_search_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Try them all, print a line for each, and keep the best."""
    from nmt.build_corpus import build_corpus
    from nmt.config import METRICS
    from nmt.data.corpus import read_pairs

    if arguments.metric not in METRICS.names():
        names = ", ".join(METRICS.names())
        raise UserError(f"--metric: {arguments.metric!r} is none of {names}")
    grid = _grid(arguments)
    folder, config = load_run(arguments)
    tried = [_with_penalties(arguments, length, coverage) for length, coverage in grid]
    corpus = build_corpus(held_out_corpus(arguments, config, "valid"))
    sources, references = zip(*read_pairs(corpus), strict=True)
    metric = METRICS.get(arguments.metric)()
    print(f"length penalty                coverage penalty              {metric.title}")
    best: tuple[float, Config] | None = None
    for (length, coverage), candidate in zip(grid, tried, strict=True):
        translator = load_translator(folder, candidate, arguments)
        texts = [translation.text for translation in translator.translate(sources)]
        value = metric(texts, references).value
        print(f"{length:<30}{coverage:<30}{value:.2f}", flush=True)
        gain = value if metric.higher_is_better else -value
        if best is None or gain > best[0]:
            best = gain, candidate
    assert best is not None, "the grid is not empty"
    if not arguments.dry_run:
        _keep(folder, best[1])
    return 0


def _grid(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """The pairs of penalties, as options."""
    lengths = _penalties("--length-penalties", arguments.length_penalties, "alpha")
    coverages = _penalties("--coverage-penalties", arguments.coverage_penalties, "beta")
    return list(product(lengths, coverages))


def _penalties(argument: str, given: str, number: str) -> list[str]:
    names = [name.strip() for name in given.split(",") if name.strip()]
    if not names:
        raise UserError(f"{argument}: names no penalty")
    return [penalty_option(name, number) for name in names]


def _with_penalties(arguments: argparse.Namespace, length: str, coverage: str) -> "Config":
    options = [*arguments.set, f"length_penalty={length}", f"coverage_penalty={coverage}"]
    return load_run(argparse.Namespace(**{**vars(arguments), "set": options}))[1]


def _keep(folder: "RunDirectory", best: "Config") -> None:
    """Write the penalties, and nothing else, into a run's configuration."""
    from nmt.config_file import dump_config, load_config

    was = load_config(folder.config)
    chosen = {
        "length_penalty": best.decoding.length_penalty,
        "coverage_penalty": best.decoding.coverage_penalty,
    }
    decoding = was.decoding.model_copy(update=chosen)
    folder.write_config(dump_config(was.model_copy(update={"decoding": decoding})))
    told = ", ".join(f"{key.replace('_', ' ')} {_told(plugin)}" for key, plugin in chosen.items())
    print(f"{folder.config} has now: {told}", file=sys.stderr)


def _told(plugin: "PlugIn") -> str:
    options = ", ".join(f"{key} {value}" for key, value in plugin.options.items())
    return f"{plugin.name} ({options})" if options else plugin.name

"""`nmt tune`: length and coverage penalty chosen on the validation set."""

import argparse
import re
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from nmt.commands.decoding import (
    add_run_arguments,
    add_search_arguments,
    load_run,
    load_translator,
    penalty_option,
)
from nmt.commands.preconditions import (
    add_held_out_arguments,
    held_out_corpus,
    require_metric,
)
from nmt.console import print_notice
from nmt.errors import ConfigError, UserError

if TYPE_CHECKING:
    from nmt.config import Config, DecodingConfig
    from nmt.registry import PlugIn
    from nmt.run import RunDirectory
    from nmt.translation import Translator

DESCRIPTION = """Translate the validation set of a run with each of several length and coverage
penalties, print what comes of each, and write the best into the run's configuration, so that
`nmt translate` has it from now on. Of equal ones the first is taken. Never tune on the set that you
report."""

EXAMPLES = """penalties: none, average, word_reward, or a number: gnmt with this alpha; of coverage:
  none, summary, see, or a number: gnmt with this beta; of either, one with its options in braces,
  as in a configuration

examples:
  nmt tune runs/toy
  nmt tune runs/toy --length-penalties average,0.6,1.0 --coverage-penalties none,0.1 --metric chrf
  nmt tune runs/toy --length-penalties '{name: word_reward, reward: 0.2},word_reward'
  nmt tune runs/toy --coverage-penalties 'none,{name: summary, beta: 0.1},summary'
  nmt tune runs/toy --beam-size 12 --dry-run"""


@dataclass(frozen=True)
class Penalty:
    """One to try.

    Attributes:
        key: the option of `decoding` that it is.
        typed: how it was given.
        option: what the option becomes.
    """

    key: str
    typed: str
    option: str

    @property
    def argument(self) -> str:
        """That it was given by."""
        return f"--{self.key.replace('_', '-').removesuffix('y')}ies"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_run_arguments(parser)
    add_held_out_arguments(parser, "valid")
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
    add_search_arguments(parser, with_length_penalty=False)


def run(arguments: argparse.Namespace) -> int:
    """Try them all, print a line for each, and keep the best."""
    from nmt.build_corpus import build_corpus
    from nmt.config import METRICS
    from nmt.data.corpus import read_pairs

    require_metric("--metric", arguments.metric)
    grid = _grid(arguments)
    folder, config = load_run(arguments)
    tried = [_with_penalties(arguments, pair) for pair in grid]
    corpus = build_corpus(held_out_corpus(arguments, config, "valid"))
    sources, references = zip(*read_pairs(corpus), strict=True)
    metric = METRICS.get(arguments.metric)()
    translator = load_translator(folder, tried[0], arguments)
    width = max(30, 2 + max(len(penalty.option) for pair in grid for penalty in pair))
    print(f"{'length penalty':<{width}}{'coverage penalty':<{width}}{metric.title}")
    best: tuple[float, Config] | None = None
    for (length, coverage), candidate in zip(grid, tried, strict=True):
        translator = _with_search(translator, candidate.decoding)
        texts = [translation.text for translation in translator.translate(sources)]
        value = metric(texts, references).value
        row = f"{length.option:<{width}}{coverage.option:<{width}}{value:.2f}"
        print(row, flush=True)
        gain = value if metric.higher_is_better else -value
        if best is None or gain > best[0]:
            best = gain, candidate
    assert best is not None, "the grid is not empty"
    chosen = {
        "length_penalty": best[1].decoding.length_penalty,
        "coverage_penalty": best[1].decoding.coverage_penalty,
    }
    told = ", ".join(f"{key.replace('_', ' ')} {_told(plugin)}" for key, plugin in chosen.items())
    if arguments.dry_run:
        print_notice(f"the best: {told}")
        return 0
    _keep(folder, chosen)
    print_notice(f"{folder.config} has now: {told}")
    return 0


def _grid(arguments: argparse.Namespace) -> list[tuple[Penalty, Penalty]]:
    """The pairs of penalties, in the order in which they are tried."""
    lengths = _penalties("length_penalty", arguments.length_penalties, "alpha")
    coverages = _penalties("coverage_penalty", arguments.coverage_penalties, "beta")
    for penalty in (lengths[0], coverages[0]):
        for option in arguments.set:
            if option.startswith((f"{penalty.key}=", f"{penalty.key}.")):
                raise UserError(f"--set {option}: here {penalty.argument} says which are tried")
    return list(product(lengths, coverages))


def _penalties(key: str, given: str, number: str) -> list[Penalty]:
    between = re.split(r",(?![^{]*})", given)  # commas within braces belong to a penalty
    names = [name.strip() for name in between if name.strip()]
    if not names:
        raise UserError(f"{Penalty(key, given, given).argument}: names no penalty")
    return [Penalty(key, name, penalty_option(name, number)) for name in names]


def _with_penalties(arguments: argparse.Namespace, pair: tuple[Penalty, Penalty]) -> "Config":
    """The run's configuration with these penalties; complaints are of what was typed."""
    options = [*arguments.set, *(f"{penalty.key}={penalty.option}" for penalty in pair)]
    try:
        return load_run(argparse.Namespace(**{**vars(arguments), "set": options}))[1]
    except ConfigError as error:
        message = str(error)
        for penalty in pair:
            origin = f"--set {penalty.key}={penalty.option}: "
            if message.startswith(origin):
                message = f"{penalty.argument} {penalty.typed}: {message.removeprefix(origin)}"
        raise ConfigError(message) from None


def _with_search(translator: "Translator", decoding: "DecodingConfig") -> "Translator":
    """The same model, searching with other penalties; what chooses afterwards has none."""
    from nmt.build import build_search

    search = build_search(decoding, translator.target_tokenizer)
    return replace(translator, inference=replace(translator.inference, search=search))


def _keep(folder: "RunDirectory", chosen: "dict[str, PlugIn]") -> None:
    """Write the penalties, and nothing else, into a run's configuration."""
    from nmt.config_file import dump_config, load_config

    was = load_config(folder.config)
    decoding = was.decoding.model_copy(update=chosen)
    folder.write_config(dump_config(was.model_copy(update={"decoding": decoding})))


def _told(plugin: "PlugIn") -> str:
    options = ", ".join(f"{key} {value}" for key, value in plugin.options.items())
    return f"{plugin.name} ({options})" if options else plugin.name

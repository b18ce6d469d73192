"""`nmt tune`: length and coverage penalty chosen on the validation set.

Translate the validation set of a run with each of several length and coverage
penalties, print what comes of each, and write the best into the run's configuration, so that
`nmt translate` has it from now on. The penalties that the run has are among them, and are kept
unless the best is significantly better: p < 0.05 in a paired bootstrap (Koehn 2004). Never tune on
the set that you report.

penalties: none, average, word_reward, or a number: gnmt with this alpha; of coverage:
  none, summary, see, or a number: gnmt with this beta; of either, one with its options in braces,
  as in a configuration

examples:
  nmt tune runs/toy
  nmt tune runs/toy --length-penalties average,0.6,1.0 --coverage-penalties none,0.1 --metric chrf
  nmt tune runs/toy --length-penalties '{name: word_reward, reward: 0.2},word_reward'
  nmt tune runs/toy --coverage-penalties 'none,{name: summary, beta: 0.1},summary'
  nmt tune runs/toy --beam-size 12 --dry-run
"""

import math
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Final

from nmt.cli.arguments import flag, option
from nmt.cli.held_out import METRIC_HELP, HeldOutArguments, named_metrics, source_option
from nmt.cli.output_locks import held
from nmt.cli.run_arguments import TunableSearch, load_run, load_translator, penalty_option
from nmt.core.console import print_notice
from nmt.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from nmt.config.decoding import DecodingConfig
    from nmt.config.file import Override
    from nmt.config.registry import PlugIn
    from nmt.evaluation.metric_base import Metric
    from nmt.inference.translator import Translator
    from nmt.runs.run import RunDirectory


SIGNIFICANT: Final = 0.05
_NUMBERS: Final = {"length_penalty": "alpha", "coverage_penalty": "beta"}
"""Options to try -> what a number for one of them is."""
_HEADS: Final = ("length penalty", "coverage penalty")


@dataclass(frozen=True)
class Trial:
    """A configuration to try, and what comes of it.

    Attributes:
        decoding: the run's options, with other penalties.
        names: of the length and the coverage penalty, as they are printed.
        value: of the metric, negative where low is good.
        texts: the translations.
    """

    decoding: "DecodingConfig"
    names: Sequence[str]
    value: float = math.nan
    texts: Sequence[str] = ()

    def describe(self) -> str:
        """Return both penalties with their options, in words."""
        names = map(_describe, _penalties_of(self.decoding))
        return ", ".join(f"{head} {name}" for head, name in zip(_HEADS, names, strict=True))


@dataclass(frozen=True, kw_only=True)
class Arguments(TunableSearch, HeldOutArguments):
    """Arguments of the command."""

    source: str | None = source_option("valid")
    length_penalties: str = option(
        "LIST",
        "which to try, with commas between (default: none,average,0.6,0.8,1.0,1.2)",
        default="none,average,0.6,0.8,1.0,1.2",
    )
    coverage_penalties: str = option(
        "LIST", "which to try with each of them (default: none)", default="none"
    )
    metric: str = option("NAME", f"what is best, {METRIC_HELP} (default: bleu)", default="bleu")
    dry_run: bool = flag("leave the run's configuration as it is")


def run(arguments: Arguments) -> int:
    """Try the penalties, and keep the best in a configuration that nothing else writes."""
    from nmt.runs.run import RunDirectory

    config = RunDirectory.open(arguments.run).config
    with nullcontext() if arguments.dry_run else held("the configuration", config):
        return _tune(arguments)


def _tune(arguments: Arguments) -> int:
    """Try them all, print a line for each, and keep the best where it is significantly better."""
    from nmt.build.metrics import build_metrics

    grid = _grid(arguments)
    run = load_run(arguments)
    named = named_metrics("--metric", arguments.metric, run.config)
    if len(named) > 1:
        raise UserError(f"--metric {arguments.metric}: must be one metric; name the one to tune by")
    (metric,) = build_metrics(named)
    trials = _trials(arguments, grid, run.config.decoding)
    _require_choice(run.config.decoding)
    corpus = arguments.find_corpus(run.config, "valid")
    sources, references = arguments.read_corpus(corpus)
    translator = load_translator(run.with_decoding(trials[0].decoding), arguments)
    width = max(30, 2 + max(len(name) for trial in trials for name in trial.names))
    print("".join(f"{head:<{width}}" for head in _HEADS) + metric.describe())
    for index, trial in enumerate(trials):
        translator = _with_search(translator, trial.decoding)
        texts = [translation.text for translation in translator.translate(sources)]
        value = metric(texts, *references).value
        print("".join(f"{name:<{width}}" for name in trial.names) + f"{value:.2f}", flush=True)
        value = value if metric.higher_is_better else -value
        trials[index] = replace(trial, value=value, texts=texts)
    present = _penalties_of(run.config.decoding)
    own = next(trial for trial in trials if _penalties_of(trial.decoding) == present)
    best = max(trials, key=lambda trial: trial.value)  # the first of equal ones
    if _is_significant(metric, own, best, references) and not arguments.dry_run:
        _keep(run.folder, best.decoding)
        print_notice(f"{run.folder.config} has them now")
    return 0


def _is_significant(
    metric: "Metric", own: Trial, best: Trial, references: Sequence[Sequence[str]]
) -> bool:
    """Say on stderr whether the best is significantly better than what the run has."""
    has = f"the run's own ({own.describe()})"
    if best.value <= own.value:
        print_notice(f"the best: {has}; they are kept")
        return False
    p_value = metric.p_value(own.texts, best.texts, *references)
    is_significant = p_value < SIGNIFICANT
    verdict = "" if is_significant else f", not below {SIGNIFICANT}: the run's own are kept"
    print_notice(
        f"the best: {best.describe()}, {best.value - own.value:.2f} {metric.describe()} "
        f"better than {has}; p = {p_value:.3f} by paired bootstrap{verdict}"
    )
    return is_significant


def _grid(arguments: Arguments) -> "list[tuple[Override, ...]]":
    """Return the pairs of penalties as options, in the order in which they are tried."""
    from nmt.config.file import Override

    lists = {
        "length_penalty": ("--length-penalties", arguments.length_penalties),
        "coverage_penalty": ("--coverage-penalties", arguments.coverage_penalties),
    }
    options = []
    for key, (argument, given) in lists.items():
        between = re.split(r",(?![^{]*})", given)  # commas within braces belong to a penalty
        names = [name.strip() for name in between if name.strip()]
        if not names:
            raise UserError(f"{argument}: names no penalty")
        for changed in arguments.options:
            if changed.startswith((f"{key}=", f"{key}.")):
                raise UserError(f"--set {changed}: here {argument} says which are tried")
        options.append(
            [
                Override(
                    f"decoding.{key}={penalty_option(name, _NUMBERS[key])}", f"{argument} {name}"
                )
                for name in names
            ]
        )
    return list(product(*options))


def _trials(
    arguments: Arguments, grid: "Sequence[tuple[Override, ...]]", own: "DecodingConfig"
) -> list[Trial]:
    """Return what is tried: the grid, after the penalties of the run where these are not in it."""
    trials = []
    for pair in grid:
        decoding = load_run(arguments, pair).config.decoding
        trials.append(Trial(decoding, [option.text.partition("=")[2] for option in pair]))
    present = _penalties_of(own)
    if all(_penalties_of(trial.decoding) != present for trial in trials):
        trials.insert(0, Trial(own, list(map(_describe, present))))
    return trials


def _require_choice(decoding: "DecodingConfig") -> None:
    """Refuse a search of one hypothesis, which all penalties leave as it is."""
    if not decoding.draws_samples and (not decoding.has_beam or decoding.beam_size == 1):
        raise ConfigError(
            "decoding: a search that keeps one hypothesis finds the same with all penalties; take "
            "a beam (--search beam --beam-size 5)"
        )


def _with_search(translator: "Translator", decoding: "DecodingConfig") -> "Translator":
    """Return the same model, searching with other penalties; what chooses afterwards has none."""
    from nmt.build.search import build_search

    search = build_search(decoding, translator.target_tokenizer)
    return replace(translator, runner=replace(translator.runner, search=search))


def _keep(folder: "RunDirectory", best: "DecodingConfig") -> None:
    """Write the penalties, and nothing else, into a run's configuration."""
    from nmt.config.file import dump_config, load_config

    was = load_config(folder.config)
    length, coverage = _penalties_of(best)
    chosen = {"length_penalty": length, "coverage_penalty": coverage}
    decoding = was.decoding.model_copy(update=chosen)
    folder.write_config(dump_config(was.model_copy(update={"decoding": decoding})))


def _penalties_of(decoding: "DecodingConfig") -> "tuple[PlugIn, PlugIn]":
    return decoding.length_penalty, decoding.coverage_penalty


def _describe(plugin: "PlugIn") -> str:
    options = ", ".join(f"{key} {value}" for key, value in plugin.options.items())
    return f"{plugin.name} ({options})" if options else plugin.name

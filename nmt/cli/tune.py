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
    from nmt.config.experiment import Config
    from nmt.config.registry import PlugIn
    from nmt.evaluation.metric import Metric
    from nmt.inference.translator import Translator
    from nmt.runs.directory import RunDirectory


SIGNIFICANT: Final = 0.05
_HEADS: Final = ("length penalty", "coverage penalty")


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


@dataclass(frozen=True)
class Trial:
    """A configuration to try.

    Attributes:
        config: the run's, with these penalties.
        names: of the length and the coverage penalty, as they are printed.
    """

    config: "Config"
    names: tuple[str, ...]

    def is_own(self, config: "Config") -> bool:
        """Return whether its penalties are those of a configuration."""
        return _penalties_of(self.config.decoding) == _penalties_of(config.decoding)

    def describe(self) -> str:
        """Return both penalties with their options, in words."""
        names = map(_describe, _penalties_of(self.config.decoding))
        return ", ".join(f"{head} {name}" for head, name in zip(_HEADS, names, strict=True))


@dataclass(frozen=True)
class Result:
    """What came of a trial: `worth` is the value of the metric, negative where low is good."""

    trial: Trial
    worth: float
    texts: list[str]


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
    from nmt.runs.directory import RunDirectory

    config = RunDirectory.open(arguments.run).config
    with nullcontext() if arguments.dry_run else held("the configuration", config):
        return _tune(arguments)


def _tune(arguments: Arguments) -> int:
    """Try them all, print a line for each, and keep the best where it is significantly better."""
    from nmt.build.metrics import build_metrics

    grid = _grid(arguments)
    run = load_run(arguments)
    folder, config = run.folder, run.config
    named = named_metrics("--metric", arguments.metric, config)
    if len(named) > 1:
        raise UserError(f"--metric {arguments.metric}: must be one metric; name the one to tune by")
    (metric,) = build_metrics(named)
    trials = _trials(arguments, grid, config)
    _require_choice(config.decoding)
    sources, references = arguments.read_corpus(arguments.find_corpus(config, "valid"))
    translator = load_translator(replace(run, config=trials[0].config), arguments)
    width = max(30, 2 + max(len(name) for trial in trials for name in trial.names))
    print("".join(f"{head:<{width}}" for head in _HEADS) + metric.describe())
    results = []
    for trial in trials:
        translator = _with_search(translator, trial.config.decoding)
        texts = [translation.text for translation in translator.translate(sources)]
        value = metric(texts, *references).value
        print("".join(f"{name:<{width}}" for name in trial.names) + f"{value:.2f}", flush=True)
        results.append(Result(trial, value if metric.higher_is_better else -value, texts))
    own = next(result for result in results if result.trial.is_own(config))
    best = max(results, key=lambda result: result.worth)  # the first of equal ones
    if not _is_significant(metric, own, best, references):
        return 0
    if not arguments.dry_run:
        _keep(folder, best.trial.config.decoding)
        print_notice(f"{folder.config} has them now")
    return 0


def _is_significant(
    metric: "Metric", own: Result, best: Result, references: Sequence[Sequence[str]]
) -> bool:
    """Say on stderr whether the best is significantly better than what the run has."""
    has = f"the run's own ({own.trial.describe()})"
    if best.worth <= own.worth:
        print_notice(f"the best: {has}; they are kept")
        return False
    p_value = metric.p_value(own.texts, best.texts, *references)
    is_significant = p_value < SIGNIFICANT
    verdict = "" if is_significant else f", not below {SIGNIFICANT}: the run's own are kept"
    print_notice(
        f"the best: {best.trial.describe()}, {best.worth - own.worth:.2f} {metric.describe()} "
        f"better than {has}; p = {p_value:.3f} by paired bootstrap{verdict}"
    )
    return is_significant


def _trials(
    arguments: Arguments, grid: Sequence[tuple[Penalty, Penalty]], config: "Config"
) -> list[Trial]:
    """Return what is tried: the grid, after the penalties of the run where these are not in it."""
    trials = [
        Trial(_with_penalties(arguments, pair), tuple(penalty.option for penalty in pair))
        for pair in grid
    ]
    if not any(trial.is_own(config) for trial in trials):
        trials.insert(0, Trial(config, tuple(map(_describe, _penalties_of(config.decoding)))))
    return trials


def _grid(arguments: Arguments) -> list[tuple[Penalty, Penalty]]:
    """The pairs of penalties, in the order in which they are tried."""
    lengths = _penalties("length_penalty", arguments.length_penalties, "alpha")
    coverages = _penalties("coverage_penalty", arguments.coverage_penalties, "beta")
    for penalty in (lengths[0], coverages[0]):
        for given in arguments.options:
            if given.startswith((f"{penalty.key}=", f"{penalty.key}.")):
                raise UserError(f"--set {given}: here {penalty.argument} says which are tried")
    return list(product(lengths, coverages))


def _require_choice(decoding: "DecodingConfig") -> None:
    """Refuse a search of one hypothesis, which all penalties leave as it is."""
    if not decoding.draws_samples and (not decoding.has_beam or decoding.beam_size == 1):
        raise ConfigError(
            "decoding: a search that keeps one hypothesis finds the same with all penalties; take "
            "a beam (--search beam --beam-size 5)"
        )


def _penalties(key: str, given: str, number: str) -> list[Penalty]:
    between = re.split(r",(?![^{]*})", given)  # commas within braces belong to a penalty
    names = [name.strip() for name in between if name.strip()]
    if not names:
        raise UserError(f"{Penalty(key, given, given).argument}: names no penalty")
    return [Penalty(key, name, penalty_option(name, number)) for name in names]


def _with_penalties(arguments: Arguments, pair: tuple[Penalty, Penalty]) -> "Config":
    """Return the run's configuration with these penalties."""
    from nmt.config.layers import Override

    return load_run(
        arguments,
        [
            Override(
                f"decoding.{penalty.key}={penalty.option}", f"{penalty.argument} {penalty.typed}"
            )
            for penalty in pair
        ],
    ).config


def _with_search(translator: "Translator", decoding: "DecodingConfig") -> "Translator":
    """The same model, searching with other penalties; what chooses afterwards has none."""
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

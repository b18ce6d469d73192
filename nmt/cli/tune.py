"""`nmt tune`: choose length and coverage penalty on the validation set.

Translate the validation set of a run with each combination of length and coverage penalties, and
print the scores. The best penalties are saved in the run's configuration, for `nmt translate`, but
only if they are significantly better than the run's own: p < 0.05 in a paired bootstrap (Koehn
2004). Never tune on the test set. Meanwhile, no other process can train or tune the run or make
its lexicon (except with --dry-run).

penalties: none, average, word_reward, or a number (gnmt with this alpha) for length;
  none, summary, see, or a number (gnmt with this beta) for coverage; or a name with options in
  braces, as in a configuration

examples:
  nmt tune runs/toy
  nmt tune runs/toy --length-penalties average,0.6,1.0 --coverage-penalties none,0.1 --metric chrf
  nmt tune runs/toy --length-penalties '{name: word_reward, reward: 0.2},word_reward'
  nmt tune runs/toy --coverage-penalties 'none,{name: summary, beta: 0.1},summary'
  nmt tune runs/toy --beam-size 12 --dry-run
"""

import re
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Final

from nmt.cli.arguments import TunableSearch, flag, option, penalty_option
from nmt.cli.held_out import METRIC_HELP, HeldOutArguments, named_metrics, source_option
from nmt.core.console import print_notice
from nmt.core.errors import ConfigError, UserError

if TYPE_CHECKING:
    from nmt.config.decoding import DecodingConfig
    from nmt.config.registry import PlugIn
    from nmt.runs.run import Run, RunDirectory

    Penalties = tuple[PlugIn, PlugIn]

SIGNIFICANT: Final = 0.05
_HEADS: Final = ("length penalty", "coverage penalty")
# Options to try -> the argument that lists them.
_LISTS: Final = {
    "length_penalty": "--length-penalties",
    "coverage_penalty": "--coverage-penalties",
}


@dataclass(frozen=True, kw_only=True)
class Arguments(TunableSearch, HeldOutArguments):
    """Arguments of the command."""

    source: str | None = source_option("valid")
    length_penalties: str = option(
        "LIST",
        "length penalties to try, separated by commas (default: none,average,0.6,0.8,1.0,1.2)",
        default="none,average,0.6,0.8,1.0,1.2",
    )
    coverage_penalties: str = option(
        "LIST", "coverage penalties to try with each of them (default: none)", default="none"
    )
    metric: str = option("NAME", f"what to tune by, {METRIC_HELP} (default: bleu)", default="bleu")
    dry_run: bool = flag("do not change the run's configuration")


def run(arguments: Arguments) -> int:
    """Try the penalties with the run locked, and save the best in its configuration."""
    for changed in arguments.options:
        if (key := changed.partition("=")[0].partition(".")[0]) in _LISTS:
            raise UserError(f"--set {changed}: has no effect here; give {_LISTS[key]}")
    run = arguments.open_run()
    with nullcontext() if arguments.dry_run else run.folder.held():
        return _tune(run, arguments)


def _tune(run: "Run", arguments: Arguments) -> int:
    """Try all penalties, print a line for each, and save the best if significantly better."""
    from nmt.build.metrics import build_metrics
    from nmt.inference.loading import build_search

    decoding = run.config.decoding
    named = named_metrics("--metric", arguments.metric, run.config)
    if len(named) > 1:
        raise UserError(f"--metric {arguments.metric}: must be one metric; leave the others out")
    (metric,) = build_metrics(named)
    own = decoding.length_penalty, decoding.coverage_penalty
    lengths = _read_penalties(arguments, "length_penalty", arguments.length_penalties, "alpha")
    coverages = _read_penalties(arguments, "coverage_penalty", arguments.coverage_penalties, "beta")
    tried = [own, *(pair for pair in product(lengths, coverages) if pair != own)]
    _require_choice(decoding)
    corpus = arguments.find_corpus(run.config, "valid")
    sources, references = arguments.read_corpus(corpus)
    translator = arguments.load_translator(run)
    width = max(30, 2 + max(len(_describe(plugin)) for pair in tried for plugin in pair))
    print("".join(f"{head:<{width}}" for head in _HEADS) + metric.describe())
    values, texts = [], []
    for pair in tried:
        search = build_search(_with_penalties(decoding, pair), translator.target_tokenizer)
        translator = replace(translator, runner=replace(translator.runner, search=search))
        texts.append([translation.text for translation in translator.translate(sources)])
        value = metric(texts[-1], *references).value
        names = "".join(f"{_describe(plugin):<{width}}" for plugin in pair)
        print(f"{names}{value:.2f}", flush=True)
        values.append(value if metric.higher_is_better else -value)
    best = values.index(max(values))
    if best == 0:
        print_notice(f"best: the run's own penalties ({_describe_both(own)}), which are kept")
        return 0
    verdict = (
        f"best: {_describe_both(tried[best])}, {values[best] - values[0]:.2f} {metric.describe()} "
        f"better than the run's own ({_describe_both(own)})"
    )
    p_value = metric.p_value(texts[0], texts[best], *references)
    is_significant = p_value < SIGNIFICANT
    kept = "" if is_significant else f", not below {SIGNIFICANT}, so the run keeps its own"
    print_notice(f"{verdict}; p = {p_value:.3f} by paired bootstrap{kept}")
    if is_significant and not arguments.dry_run:
        _keep(run.folder, tried[best])
        print_notice(f"{run.folder.config} now has the best penalties")
    return 0


def _read_penalties(arguments: Arguments, key: str, given: str, number: str) -> "list[PlugIn]":
    """Parse and validate a list of penalties.

    Args:
        arguments: arguments of the command.
        key: key of the penalty in the configuration.
        given: the list.
        number: option of `gnmt` that a plain number sets: `alpha` or `beta`.

    Raises:
        UserError: the list is empty, or an element is not valid.
    """
    from nmt.config.layers import Override
    from nmt.runs.run import Run

    argument = _LISTS[key]
    names = re.split(r",(?![^{]*})", given)  # commas within braces belong to a penalty
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise UserError(f"{argument}: must not be empty; name a penalty")
    penalties = []
    for name in names:
        option = f"decoding.{key}={penalty_option(name, number)}"
        run = Run.open(arguments.run, [Override(option, f"{argument} {name}")])
        penalties.append(getattr(run.config.decoding, key))
    return penalties


def _require_choice(decoding: "DecodingConfig") -> None:
    """Refuse a search with one hypothesis, which penalties do not affect."""
    if not decoding.draws_samples and (not decoding.has_beam or decoding.beam_size == 1):
        raise ConfigError(
            "decoding: penalties do not affect a search with one hypothesis; use a beam (--search "
            "beam --beam-size 5)"
        )


def _keep(folder: "RunDirectory", best: "Penalties") -> None:
    """Write only the penalties into a run's configuration."""
    from nmt.config.file import dump_config, load_config
    from nmt.runs.plugin_copies import write_copies

    was = load_config(folder.config)
    decoding = _with_penalties(was.decoding, best)
    write_copies(folder.plugin_copies)
    folder.write_config(dump_config(was.model_copy(update={"decoding": decoding})))


def _with_penalties(decoding: "DecodingConfig", penalties: "Penalties") -> "DecodingConfig":
    length, coverage = penalties
    return decoding.model_copy(update={"length_penalty": length, "coverage_penalty": coverage})


def _describe_both(penalties: "Penalties") -> str:
    return ", ".join(
        f"{head} {_describe(plugin)}" for head, plugin in zip(_HEADS, penalties, strict=True)
    )


def _describe(plugin: "PlugIn") -> str:
    options = ", ".join(f"{key} {value}" for key, value in plugin.options.items())
    return f"{plugin.name} ({options})" if options else plugin.name

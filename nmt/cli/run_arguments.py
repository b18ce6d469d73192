"""CommandArguments that the commands share: which run, where it computes, and how it searches."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from nmt.cli.arguments import CommandArguments, flag, flag_of, option, positional, repeated
from nmt.cli.config_checks import refuse_ineffective
from nmt.cli.output_locks import reserve_outputs
from nmt.core.errors import ConfigError
from nmt.word_alignment.units import AlignmentUnits

if TYPE_CHECKING:
    from nmt.config.file import Override
    from nmt.inference.translator import Translator
    from nmt.runs.run import Run

DEFAULT: Final = "(default: as the run's configuration says)"


def length_penalty() -> Any:
    """Declare a field for --length-penalty."""
    return option(
        "X",
        "none, average, gnmt, word_reward; or a number: gnmt with this alpha",
        key="decoding.length_penalty",
    )


def set_options(examples: str) -> Any:
    """Declare a field for --set."""
    return repeated(
        "KEY=VALUE",
        "any option of `decoding` in configs/reference.yaml, by its dotted key: "
        f"{examples}; may be given several times",
        "--set",
    )


def alignment_units(default: AlignmentUnits | None) -> Any:
    """Declare a field for what alignments link."""
    return option(
        None,
        "what alignments link: words (of the raw text, between spaces), characters, pieces of the "
        "tokenizer; auto: words, where a script without spaces is split into its characters "
        "(default: auto)",
        default=default,
        choices=get_args(AlignmentUnits),
    )


@dataclass(frozen=True, kw_only=True)
class TrainedRun(CommandArguments):
    """A trained run."""

    TITLE = "how it runs"
    run: str = positional("RUN", "the folder of a trained run")
    checkpoint: str = option("NAME", "best, last or step-N (default: best)", default="best")


@dataclass(frozen=True, kw_only=True)
class RunArguments(TrainedRun):
    """A trained run, and how it computes."""

    TITLE = "how it runs"
    device: str = option(
        "D", "auto, cpu, cuda or cuda:N (default: auto)", default="auto", key="device"
    )
    precision: str | None = option(
        "P",
        "auto (bfloat16 where the device is made for it), float32, bfloat16 or, to translate "
        "on a CPU, int8 (default: as the run was trained, where the device can)",
        key="precision",
    )
    ensemble: list[str] = repeated(
        "RUN",
        "a further run, over the same vocabulary, whose probabilities are averaged with those "
        "of RUN; may be given several times",
    )
    average: Literal["linear", "log"] = option(
        None,
        "what of an ensemble is averaged: probabilities (linear) or their logarithms "
        "(default: linear)",
        default="linear",
        choices=("linear", "log"),
    )
    batch_tokens: str | None = option(
        "N",
        "most source tokens at once, padding counted; smaller needs less memory "
        "(default: the run's)",
        key="decoding.batch_tokens",
    )

    def __post_init__(self) -> None:
        if self.average != "linear" and not self.ensemble:
            raise ConfigError(
                f"--average {self.average}: has no effect without further runs; name one "
                "(--ensemble RUN), or leave it out"
            )


@dataclass(frozen=True, kw_only=True)
class TunableSearch(CommandArguments):
    """Options of the search, except the penalties."""

    TITLE = f"how it searches {DEFAULT}"
    beam_size: str | None = option(
        "N", "hypotheses kept at each step; 1 is greedy", key="decoding.beam_size"
    )
    search: str | None = option(
        "NAME", "beam, greedy, diverse_beam or sampling", key="decoding.search"
    )
    shortlist: bool = flag(
        "compute for a few hundred likely tokens of each sentence only, which is faster; the run "
        "must have a lexicon (`nmt lexicon`)",
        key="decoding.shortlist",
    )
    options: list[str] = set_options("no_repeat_ngram_size=3, search.temperature=0.8")


@dataclass(frozen=True, kw_only=True)
class SearchArguments(TunableSearch):
    """Options of the search."""

    TITLE = TunableSearch.TITLE
    length_penalty: str | None = length_penalty()


def list_overrides(arguments: TrainedRun) -> "list[Override]":
    """Return the options of the configuration that arguments set, those of --set last."""
    from nmt.config.file import Override

    overrides = []
    for declared in fields(arguments):
        key, given = declared.metadata.get("key"), getattr(arguments, declared.name)
        if not key or given is None or given is False:
            continue
        name = flag_of(declared)
        if given is True:
            overrides.append(Override(f"{key}={{}}", name))
        else:
            value = penalty_option(given, "alpha") if key == "decoding.length_penalty" else given
            overrides.append(Override(f"{key}={value}", f"{name} {given}"))
    options: Sequence[str] = getattr(arguments, "options", ())
    overrides += [Override(f"decoding.{given}", f"--set {given}") for given in options]
    return overrides


def penalty_option(given: str, number: str) -> str:
    """Return a penalty as an option of the configuration.

    Args:
        given: its name; or a number, for the penalty of GNMT.
        number: the option of `gnmt` that a number sets.
    """
    try:
        return f"{{name: gnmt, {number}: {float(given)}}}"
    except ValueError:
        return given


def load_run(arguments: TrainedRun, further: "Sequence[Override]" = ()) -> "Run":
    """Open a run with the arguments laid over its configuration; load no model.

    Args:
        arguments: of the command.
        further: options laid over those.

    Raises:
        UserError: the folder is no run, or a value is not allowed.
    """
    from nmt.runs.run import Run

    overrides = [*list_overrides(arguments), *further]
    run = Run.open(arguments.run, overrides)
    refuse_ineffective(run.config, overrides)
    return run


def reserve(
    run: "Run",
    arguments: TrainedRun,
    outputs: Mapping[str, Path | None],
    inputs: Iterable[str | Path | None],
    runs: Iterable[str | Path] = (),
) -> AbstractContextManager[None]:
    """Reserve outputs, which may be no input of the command, or of the runs that it reads.

    Args:
        run: the run.
        arguments: of the command.
        outputs: argument -> the file or folder given for it.
        inputs: files that are read.
        runs: further runs that are read.
    """
    ensemble: Sequence[str] = getattr(arguments, "ensemble", ())
    read = [*inputs, *run.config.input_paths().values()]
    return reserve_outputs(outputs, read, [run.folder.path, *ensemble, *runs])


def load_translator(
    run: "Run",
    arguments: RunArguments,
    *,
    searches: bool = True,
    alignment_units: AlignmentUnits = "auto",
) -> "Translator":
    """Load the trained model. This takes seconds: do it after all checks.

    Args:
        run: with the arguments laid over its configuration.
        arguments: of the command.
        searches: whether to load what only a search needs.
        alignment_units: what alignments link.
    """
    from nmt.inference.translator import Translator
    from nmt.system.process import FOR_SEARCH, keep_freed_memory, limit_kernel_caches

    keep_freed_memory()
    limit_kernel_caches(FOR_SEARCH)
    if not searches:
        run = run.with_decoding(run.config.decoding.model_copy(update={"shortlist": None}))
    return Translator.from_run(
        run,
        checkpoint=arguments.checkpoint,
        device=run.config.device,
        precision=arguments.precision,
        ensemble=arguments.ensemble,
        average=arguments.average,
        alignment_units=alignment_units,
    )

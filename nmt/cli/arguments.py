"""Arguments of the commands, as fields of frozen dataclasses, and runs opened from them.

The type and the default of a field are those of the argument; the functions here add the settings
of the parser. Help lists arguments in the order of the classes, base classes first.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, get_args

from nmt.core.errors import ConfigError
from nmt.word_alignment.units import AlignmentUnits

if TYPE_CHECKING:
    from nmt.config.layers import Override
    from nmt.inference.translator import Translator
    from nmt.runs.run import Run

DEFAULT: Final = "(default: those of the run)"
_SETTINGS: Final = "settings"  # metadata key of a field: keyword arguments of `add_argument`
_NAMES: Final = "names"


def positional(metavar: str, help: str, **settings: Any) -> Any:
    """Declare a field for an argument without dashes."""
    return field(metadata={_SETTINGS: {"metavar": metavar, "help": help, **settings}})


def option(
    metavar: str | None, help: str, *names: str, default: Any = None, key: str = "", **settings: Any
) -> Any:
    """Declare a field for an option with a value, which may be given once.

    Args:
        metavar: placeholder of the value in the help.
        help: help text.
        names: the flags; by default, one with the name of the field.
        default: the default value.
        key: dotted key of the configuration option that it sets.
        settings: further arguments of `add_argument`.
    """
    settings = {"metavar": metavar, "help": help, "default": default, **settings}
    return field(default=default, metadata={_SETTINGS: settings, _NAMES: names, "key": key})


def path(help: str, *names: str, metavar: str = "FILE", **settings: Any) -> Any:
    """Declare a field for an option that names a file."""
    return option(metavar, help, *names, type=Path, **settings)


def output_path(help: str = "write here, not to stdout") -> Any:
    """Declare a field for -o."""
    return path(help, "-o", "--output")


def repeated(metavar: str, help: str, *names: str) -> Any:
    """Declare a field for an option that may be given several times."""
    settings = {"metavar": metavar, "help": help, "action": "append", "default": []}
    return field(default_factory=list, metadata={_SETTINGS: settings, _NAMES: names})


@dataclass(frozen=True, kw_only=True)
class CommandArguments:
    """Base of all arguments; `TITLE` is the help heading of the arguments of a class."""

    TITLE: ClassVar[str]

    plugins: list[str] = repeated(
        "FILE|MODULE",
        "import plug-ins from this Python file or module; may be given several times",
        "--plugin",
    )


def flag(help: str, key: str = "") -> Any:
    """Declare a field for an option without a value."""
    settings = {"help": help, "action": "store_true"}
    return field(default=False, metadata={_SETTINGS: settings, _NAMES: (), "key": key})


def whole_number(most: int) -> Callable[[str], int]:
    """Return a type function for argparse that reads a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
            message = f"must be a whole number from 1 to {most:,}, not {text!r}"
            raise argparse.ArgumentTypeError(message)
        return int(text)

    return read


def flag_of(declared: "Field[Any]") -> str:
    """Return the command-line name of an option; the long one if it has two."""
    names: Sequence[str] = declared.metadata.get(_NAMES, ())
    return names[-1] if names else f"--{declared.name.replace('_', '-')}"


def add_arguments(parser: argparse.ArgumentParser, kind: type[CommandArguments]) -> None:
    """Add all arguments of a class to a parser; a redeclared field keeps its first position."""
    remaining = {item.name: item for item in fields(kind)}
    groups: dict[str | None, argparse._ActionsContainer] = {None: parser}
    for base in reversed(kind.__mro__):
        title = vars(base).get("TITLE")
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        for name in vars(base).get("__annotations__", {}):
            item = remaining.pop(name, None)
            if item is None:
                continue
            settings = item.metadata[_SETTINGS]
            if _NAMES not in item.metadata:
                parser.add_argument(name, **settings)
            else:
                names = item.metadata[_NAMES] or (flag_of(item),)
                groups[title].add_argument(*names, dest=name, **settings)


def length_penalty() -> Any:
    """Declare a field for --length-penalty."""
    return option(
        "X",
        "none, average, gnmt, word_reward, or a number: gnmt with this alpha",
        key="decoding.length_penalty",
    )


def set_options(examples: str) -> Any:
    """Declare a field for --set."""
    return repeated(
        "KEY=VALUE",
        f"any option of `decoding` in configs/reference.yaml, by its dotted key, as in {examples}; "
        "may be repeated",
        "--set",
    )


def alignment_units(default: AlignmentUnits | None) -> Any:
    """Declare a field for the units that alignments link."""
    return option(
        None,
        "units that alignments link: words (of the raw text, between spaces), characters, or "
        "pieces of the tokenizer; auto: words, but characters in scripts without spaces (default: "
        "auto)",
        default=default,
        choices=get_args(AlignmentUnits),
    )


@dataclass(frozen=True, kw_only=True)
class TrainedRun(CommandArguments):
    """A trained run."""

    TITLE = "model and device"
    run: str = positional("RUN", "folder of a trained run")
    checkpoint: str = option("NAME", "best, last or step-N (default: best)", default="best")

    def list_overrides(self) -> "list[Override]":
        """Return the configuration overrides of these arguments; those of --set come last."""
        from nmt.config.layers import Override

        overrides = []
        for declared in fields(self):
            key, given = declared.metadata.get("key"), getattr(self, declared.name)
            if not key or given is None or given is False:
                continue
            argument = flag_of(declared) if given is True else f"{flag_of(declared)} {given}"
            if given is True:
                given = "{}"
            elif key == "decoding.length_penalty":
                given = penalty_option(given, "alpha")
            overrides.append(Override(f"{key}={given}", argument))
        options: Sequence[str] = getattr(self, "options", ())
        overrides += [Override(f"decoding.{given}", f"--set {given}") for given in options]
        return overrides

    def open_run(self) -> "Run":
        """Open the run with the arguments as overrides of its configuration; load no model."""
        from nmt.cli.config_checks import find_ineffective
        from nmt.runs.run import Run

        overrides = self.list_overrides()
        run = Run.open(self.run, overrides)
        if overrides and (problem := next(find_ineffective(run.config, overrides), None)):
            raise ConfigError(problem)
        return run


@dataclass(frozen=True, kw_only=True)
class RunArguments(TrainedRun):
    """A trained run, and the device and precision of its computation."""

    TITLE = "model and device"
    device: str | None = option("D", "auto, cpu, cuda or cuda:N (default: auto)", key="device")
    precision: str | None = option(
        "P",
        "auto (bfloat16 where the device supports it well), float32, bfloat16, or int8 on a CPU "
        "(default: as in training, if the device supports it)",
        key="precision",
    )
    ensemble: list[str] = repeated(
        "RUN",
        "another run with the same vocabulary, to average its probabilities with those of RUN; "
        "may be repeated",
    )
    average: Literal["linear", "log"] = option(
        None,
        "what an ensemble averages: probabilities (linear) or their logarithms (log) (default: "
        "linear)",
        default="linear",
        choices=("linear", "log"),
    )
    batch_tokens: int | None = option(
        "N",
        "maximum source tokens in a batch, with padding; fewer need less memory (default: the "
        "run's)",
        key="decoding.batch_tokens",
        type=whole_number(10_000_000),
    )

    def __post_init__(self) -> None:
        if self.average != "linear" and not self.ensemble:
            raise ConfigError(
                f"--average {self.average}: has no effect without --ensemble RUN; add it, or leave "
                "this out"
            )

    def load_translator(
        self, run: "Run", *, searches: bool = True, alignment_units: AlignmentUnits = "auto"
    ) -> "Translator":
        """Load the trained model; this takes seconds, so call it after all checks.

        Args:
            run: the run, with the arguments as overrides of its configuration.
            searches: whether to load the parts that only a search needs.
            alignment_units: units that alignments link.
        """
        from nmt.inference.translator import Translator
        from nmt.system.process import set_up_for_search

        set_up_for_search()
        if not searches:
            run = run.with_decoding(run.config.decoding.model_copy(update={"shortlist": None}))
        return Translator.from_run(
            run,
            checkpoint=self.checkpoint,
            device=self.device or "auto",
            precision=self.precision,
            ensemble=self.ensemble,
            average=self.average,
            alignment_units=alignment_units,
        )


@dataclass(frozen=True, kw_only=True)
class TunableSearch(CommandArguments):
    """Options of the search, except the penalties."""

    TITLE = f"search options {DEFAULT}"
    beam_size: int | None = option(
        "N",
        "hypotheses kept at each step (1: greedy search)",
        key="decoding.beam_size",
        type=whole_number(10_000),
    )
    search: str | None = option(
        "NAME", "beam, greedy, diverse_beam or sampling", key="decoding.search"
    )
    shortlist: bool = flag(
        "only score a few hundred likely tokens per sentence, which is faster; the run needs a "
        "lexicon (`nmt lexicon`)",
        key="decoding.shortlist",
    )
    options: list[str] = set_options("no_repeat_ngram_size=3, search.temperature=0.8")


@dataclass(frozen=True, kw_only=True)
class SearchArguments(TunableSearch):
    """Options of the search."""

    TITLE = TunableSearch.TITLE
    length_penalty: str | None = length_penalty()


def penalty_option(given: str, number: str) -> str:
    """Return a penalty as YAML; a number becomes `gnmt` with that value of the option `number`."""
    try:
        return f"{{name: gnmt, {number}: {float(given)}}}"
    except ValueError:
        return given

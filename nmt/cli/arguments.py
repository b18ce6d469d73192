"""The arguments that the commands share: which run, where it works, and how it searches."""

import argparse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, get_args

from nmt.alignment.units import AlignmentUnits
from nmt.cli.ineffective_options import key_of, refuse_ineffective
from nmt.core.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from nmt.inference.translator import Translator
    from nmt.runs.run import Run

_DEFAULT: Final = "(default: as the run's configuration says)"


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN, and what the machine is to do with it."""
    parser.add_argument("run", metavar="RUN", help="the folder of a trained run")
    group = parser.add_argument_group("how it runs")
    group.add_argument(
        "--checkpoint", metavar="NAME", default="best", help="best, last or step-N (default: best)"
    )
    group.add_argument(
        "--device", metavar="D", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)"
    )
    group.add_argument(
        "--precision",
        metavar="P",
        help="auto (bfloat16 where the device is made for it), float32, bfloat16 or, to translate "
        "on a CPU, int8 (default: as the run was trained, where the device can)",
    )
    group.add_argument(
        "--ensemble",
        metavar="RUN",
        action="append",
        default=[],
        help="a further run, over the same vocabulary, whose probabilities are averaged with those "
        "of RUN; may be given several times",
    )
    group.add_argument(
        "--average",
        choices=("linear", "log"),
        default="linear",
        help="what of an ensemble is averaged: probabilities (linear) or their logarithms "
        "(default: linear)",
    )
    group.add_argument(
        "--batch-tokens",
        metavar="N",
        help="most source tokens at once, padding counted; smaller needs less memory "
        "(default: the run's)",
    )


def add_search_arguments(
    parser: argparse.ArgumentParser, *, with_length_penalty: bool = True
) -> None:
    """How translations are looked for, where not as the run's configuration says."""
    group = parser.add_argument_group(f"how it searches {_DEFAULT}")
    group.add_argument("--beam-size", metavar="N", help="hypotheses kept at each step; 1 is greedy")
    group.add_argument("--search", metavar="NAME", help="beam, greedy, diverse_beam or sampling")
    _add_shortlist(group)
    if with_length_penalty:
        _add_length_penalty(group)
    _add_set(group, "no_repeat_ngram_size=3, search.temperature=0.8")


def add_scoring_arguments(parser: argparse.ArgumentParser) -> None:
    """How given translations are ranked, where not as the run's configuration says."""
    group = parser.add_argument_group(f"how it scores {_DEFAULT}")
    _add_length_penalty(group)
    _add_set(group, "length_penalty.alpha=0.8, max_source_length=200")


def _add_shortlist(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--shortlist",
        action="store_const",
        const="{}",
        help="compute for a few hundred likely tokens of each sentence alone, which is faster; the "
        "run must have a lexicon (`nmt lexicon`)",
    )


def _add_length_penalty(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--length-penalty",
        metavar="X",
        help="none, average, gnmt, word_reward; or a number: gnmt with this alpha",
    )


def _add_set(group: argparse._ArgumentGroup, examples: str) -> None:
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any option of `decoding` in configs/reference.yaml, by its dotted key: "
        f"{examples}; may be given several times",
    )


def add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """How an exported model is to translate, where not as the run's configuration says."""
    group = parser.add_argument_group(f"how it searches {_DEFAULT}")
    group.add_argument("--beam-size", metavar="N", help="hypotheses kept at each step; 1 is greedy")
    group.add_argument("--search", metavar="NAME", help="beam or greedy")
    _add_shortlist(group)
    _add_length_penalty(group)
    _add_set(
        group, "max_length_ratio=2; lengths, the shortlist and max_source_length can be exported"
    )


def add_alignment_units(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Declare the option that says what alignments link."""
    parser.add_argument(
        "--alignment-units",
        choices=get_args(AlignmentUnits),
        default=default,
        help="what alignments link: words (of the raw text, between spaces), characters, pieces of "
        "the tokenizer; auto: words, where a script without spaces is split into its characters "
        "(default: auto)",
    )


def whole_number(most: int) -> Callable[[str], int]:
    """Return what argparse reads an argument with: a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > len(str(most)) or not 1 <= int(text) <= most:
            from nmt.config.messages import show  # which imports pydantic

            raise argparse.ArgumentTypeError(
                f"must be a whole number from 1 to {most:,}, not {show(text)}"
            )
        return int(text)

    return read


def load_run(arguments: argparse.Namespace) -> "Run":
    """Open the run, with the arguments laid over its configuration; nothing heavy is loaded.

    Raises:
        UserError: the folder is no run, or a value is not allowed.
    """
    from nmt.runs.run import Run

    given = vars(arguments)
    overrides = {f"{key}={value}": key for key, value in _overrides(given) if value is not None}
    options = [f"decoding.{option}" for option in given.get("set", [])]
    typed = {
        override: f"{_argument(key)} {given[_name(key)]}" for override, key in overrides.items()
    }
    typed |= {option: f"--set {option.removeprefix('decoding.')}" for option in options}
    try:
        run = Run.open(arguments.run, [*overrides, *options])
    except ConfigError as error:
        raise ConfigError(_as_typed(str(error), typed)) from None
    refuse_ineffective(run.config, typed)
    if given.get("average", "linear") != "linear" and not given["ensemble"]:
        raise ConfigError(
            f"--average {given['average']}: has no effect without further runs; name one "
            "(--ensemble RUN), or leave it out"
        )
    return run


def load_translator(
    run: "Run",
    arguments: argparse.Namespace,
    *,
    machine: "tuple[torch.device, torch.dtype] | None" = None,
    searches: bool = True,
) -> "Translator":
    """The trained model, ready for use; this takes seconds, so do it after all checks.

    Args:
        run: with the arguments laid over its configuration.
        arguments: of the command.
        machine: device and precision, where they are resolved already.
        searches: whether it is to translate; what that alone needs is not looked for else.
    """
    from nmt.inference.translator import Translator
    from nmt.system.allocator import FOR_SEARCH, keep_freed_memory, limit_kernel_caches

    keep_freed_memory()
    limit_kernel_caches(FOR_SEARCH)
    if not searches:
        run = run.with_decoding(run.config.decoding.model_copy(update={"shortlist": None}))
    device, precision = machine or (run.config.device, arguments.precision)
    return Translator.from_run(
        run,
        checkpoint=arguments.checkpoint,
        device=device,
        precision=precision,
        ensemble=arguments.ensemble,
        average=arguments.average,
        alignment_units=getattr(arguments, "alignment_units", None) or "auto",
    )


def _as_typed(message: str, typed: Mapping[str, str]) -> str:
    """Return an error about an override as one about the argument that it was given by."""
    for override, argument in typed.items():
        origin, key = f"override {override!r}", key_of(override)
        if message.startswith(f"{origin}: "):
            sentence = message.removeprefix(f"{origin}: ").removeprefix(f"{key}: ")
            message = f"{argument}: {sentence}"
        message = message.replace(origin, argument).replace(repr(override), argument)
    return message


def _name(key: str) -> str:
    """Return the argument that sets an option, as an attribute of the arguments."""
    return key.removeprefix("decoding.")


def _argument(key: str) -> str:
    return f"--{_name(key).replace('_', '-')}"


def _overrides(given: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [
        ("device", given.get("device")),
        ("precision", given.get("precision")),
        ("decoding.batch_tokens", given.get("batch_tokens")),
        ("decoding.search", given.get("search")),
        ("decoding.beam_size", given.get("beam_size")),
        ("decoding.n_best", given.get("n_best")),
        ("decoding.shortlist", given.get("shortlist")),
        ("decoding.length_penalty", _length_penalty(given.get("length_penalty"))),
    ]


def _length_penalty(given: str | None) -> str | None:
    return None if given is None else penalty_option(given, "alpha")


def penalty_option(given: str, number: str) -> str:
    """A penalty as an option: by its name, or by the number of that of GNMT.

    Args:
        given: what was typed.
        number: which option of `gnmt` a number is.
    """
    try:
        return f"{{name: gnmt, {number}: {float(given)}}}"
    except ValueError:
        return given

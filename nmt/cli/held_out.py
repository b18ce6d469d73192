"""Held-out corpora and named metrics, for `nmt evaluate` and `nmt tune`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from nmt.cli.arguments import RunArguments, option, repeated
from nmt.cli.config_checks import corpus_problems
from nmt.cli.inputs import given_corpus, line_limit
from nmt.core.errors import ConfigError, DataError, UserError
from nmt.data.formats.lines import read_lines

if TYPE_CHECKING:
    from nmt.config.data import CorpusConfig
    from nmt.config.experiment import Config
    from nmt.config.training import MetricConfig
    from nmt.data.formats.grids import Source

HeldOut: TypeAlias = Literal["valid", "test"]

METRIC_HELP: Final = (
    "given by name, by its label in the run (`as`), or with options: '{name: chrf, word_order: 2}'"
)
_HELD_OUT: Final = {"valid": "validation set", "test": "test set"}


def source_option(key: HeldOut) -> Any:
    """Declare a field for --source, whose default is a corpus of the run."""
    return option("FILE", f"source sentences (default: the run's {_HELD_OUT[key]})")


@dataclass(frozen=True, kw_only=True)
class HeldOutArguments(RunArguments):
    """A run and its evaluation corpus; subclasses declare `source` with `source_option`."""

    source: str | None
    reference: list[str] = repeated(
        "FILE",
        "reference translations, one per line; repeat it for several references per line",
    )
    max_line_bytes: int = line_limit()

    def find_corpus(self, config: "Config", key: HeldOut) -> "CorpusConfig":
        """Return the corpus of --source and --reference, or else the corpus of the run.

        Raises:
            UserError: only one of the two is given, or one is empty.
            ConfigError: neither is given, and the run has no such corpus.
            DataError: the run's files are not found: the run may come from another machine.
        """
        if (self.source is None) != (not self.reference):
            raise UserError("--source and --reference: only one is given; give both, or neither")
        if self.source is not None:
            for argument, names in (("source", [self.source]), ("reference", self.reference)):
                if "" in names:
                    raise UserError(f"--{argument}: must not be empty; give a file name")
            return given_corpus(config, self.source, self.reference[0])
        corpus: CorpusConfig | None = getattr(config.data, key)
        name = _HELD_OUT[key]
        if corpus is None:
            raise ConfigError(
                f"{self.run}: its configuration has no {name} (data.{key}); give --source and "
                "--reference"
            )
        for file, problem in corpus_problems(f"data.{key}", corpus):
            raise DataError(
                f"{self.run}: cannot read its {name}: {file}: {problem}; give --source and "
                "--reference"
            )
        return corpus

    def read_corpus(self, corpus: "CorpusConfig") -> "tuple[list[Source], list[list[str]]]":
        """Read the sources and each set of references of a corpus from `find_corpus`.

        Raises:
            DataError: a file cannot be read, or its number of lines differs from the sources.
        """
        from nmt.build.data import build_corpus

        pairs = build_corpus(corpus, self.max_line_bytes).read_pairs()
        sources, references = map(list, zip(*pairs, strict=True))
        sets = [references]
        for name in self.reference[1:]:
            sets.append(list(read_lines(Path(name), max_line_bytes=self.max_line_bytes)))
            if len(sets[-1]) != len(sources):
                raise DataError(
                    f"{name}: has {len(sets[-1]):,} lines, but there are {len(sources):,} sources; "
                    "it needs one line for each"
                )
        return sources, sets


def named_metrics(argument: str, given: str, config: "Config") -> "list[MetricConfig]":
    """Return metrics with their options; a metric of the run keeps the run's options.

    Args:
        argument: the command-line option of the list, for messages.
        given: names and plug-ins in braces, separated by commas, as in a YAML list.
        config: configuration of the run, whose BLEU resolves `tokenize: auto`.

    Raises:
        UserError: a name is unknown, or its options are not valid.
    """
    from nmt.config.file import parse_yaml
    from nmt.config.training import read_metrics

    validation = config.training.validation
    if re.search(r"(^|,)\s*,", given):
        raise UserError(
            f"{argument} {given}: a metric is missing before a comma; write them as in bleu,chrf"
        )
    items = parse_yaml(f"[{given}]", f"{argument} {given}") or []
    own = {metric.label: metric for metric in validation.metrics}
    try:
        metrics = read_metrics([own.get(str(item), item) for item in items])
    except ConfigError as error:
        raise UserError(f"{argument} {given}: {error}") from None
    if not metrics:
        raise UserError(f"{argument}: must not be empty; name a metric, or leave it out")
    return [metric.with_tokenizer(validation.bleu_tokenizer) for metric in metrics]

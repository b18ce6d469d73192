"""`nmt score`: compute the probability of given translations.

Write the log-probability of each target sentence given its source: the natural logarithm, summed
over all tokens and the end of the sentence. The output has one line for each pair. For
translations of `nmt translate` it equals the log-probability that --scores prints there, except for
empty lines, which are not translated. A summary with the perplexity is printed on stderr.

examples:
  nmt score runs/toy --source data/toy/test.en --target data/toy/test.de
  nmt score runs/toy --source web.en --target web.de --json -o web.scores
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.arguments import RunArguments, flag, output_path
from nmt.cli.inputs import PairArguments
from nmt.cli.outputs import check_files, open_output
from nmt.core.console import print_notice

if TYPE_CHECKING:
    from nmt.inference.forced_decoding import SentenceScore


@dataclass(frozen=True, kw_only=True)
class Arguments(PairArguments, RunArguments):
    """Arguments of the command."""

    output: Path | None = output_path()
    json: bool = flag("write a JSON object for each pair, with perplexity and all tokens")


def run(arguments: Arguments) -> int:
    """Write the log-probability of each pair, and a summary on stderr."""
    from nmt.inference.inputs import LineWarnings

    run = arguments.open_run()
    read = [arguments.source, arguments.target]
    check_files({"-o": arguments.output}, read, run, arguments.ensemble)
    pairs = arguments.read(run.config)
    translator = arguments.load_translator(run, searches=False)
    warnings = LineWarnings()
    num_sentences = num_tokens = 0
    total = 0.0
    with open_output(arguments.output) as output:
        for sentence in translator.score(pairs, warnings):
            output.write(f"{_format(sentence, as_json=arguments.json)}\n")
            num_sentences += 1
            num_tokens += sentence.num_tokens
            total += sentence.log_probability
    warnings.sum_up_unknown()
    mean = total / max(num_tokens, 1)
    print_notice(
        f"{num_sentences:,} sentences, {num_tokens:,} tokens: log-probability {total:.2f}, "
        f"{mean:.4f} per token, perplexity {math.exp(-mean):.3f}"
    )
    return 0


def _format(sentence: "SentenceScore", *, as_json: bool) -> str:
    if not as_json:
        return f"{sentence.log_probability:.6f}"
    fields = {
        "log_probability": round(sentence.log_probability, 6),
        "perplexity": round(sentence.perplexity, 6),
        "tokens": sentence.tokens,
        "token_log_probabilities": [
            round(number, 6) for number in sentence.token_log_probabilities
        ],
    }
    return json.dumps(fields, ensure_ascii=False)

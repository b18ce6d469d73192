"""Check the promises of search on a trained run and real text.

    python scripts/check_search.py RUN --source valid.de --reference valid.en --batches test.de

Prints one line for each check, and exits with 1 if one fails:

- beam 5 against greedy search (mean log-probability and BLEU);
- the first of five translations against the only one;
- the score that search reports against the score of `nmt score`;
- translations in batches of one sentence, 400 and 4,000 tokens (of another text, if one is given).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nmt.data.formats.lines import read_lines
from nmt.evaluation.table import METRICS
from nmt.inference.translator import Translation, Translator
from nmt.runs.run import Run

TOLERANCE = 1e-4


def main() -> int:
    """Run all checks; return 0 if all pass, or else 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", type=Path)
    parser.add_argument("--source", metavar="FILE", type=Path, required=True)
    parser.add_argument("--reference", metavar="FILE", type=Path, required=True)
    parser.add_argument(
        "--batches", metavar="FILE", type=Path, help="translated in batches, in place of --source"
    )
    arguments = parser.parse_args()
    sources = list(read_lines(arguments.source))
    references = list(read_lines(arguments.reference))
    beam = load(arguments.run, beam_size=5)
    found = beam.translate(sources)
    kept = [
        beam_beats_greedy(found, load(arguments.run, beam_size=1).translate(sources), references),
        first_of_many_is_the_only_one(
            found, load(arguments.run, beam_size=5, n_best=5).translate(sources)
        ),
        reported_is_scored(beam, sources, found),
        batches_change_nothing(beam, list(read_lines(arguments.batches or arguments.source))),
    ]
    return 0 if all(kept) else 1


def load(run: Path, **changes: int) -> Translator:
    """Load the run's model in float32, with some decoding options changed."""
    opened = Run.open(run)
    opened = opened.with_decoding(opened.config.decoding.model_copy(update=changes))
    return Translator.from_run(opened, precision="float32")


def beam_beats_greedy(
    beam: Sequence[Translation], greedy: Sequence[Translation], references: Sequence[str]
) -> bool:
    """Compare beam and greedy search by the model's log-probability and by BLEU."""
    scores = [mean_score(beam), mean_score(greedy)]
    bleu = [METRICS["bleu"]()([t.text for t in found], references) for found in (beam, greedy)]
    print(f"mean score: beam 5 {scores[0]:.4f}, greedy {scores[1]:.4f}")
    print(f"BLEU: beam 5 {bleu[0].value:.2f}, greedy {bleu[1].value:.2f}  {bleu[0].signature}")
    return scores[0] > scores[1] and bleu[0].value > bleu[1].value


def mean_score(found: Sequence[Translation]) -> float:
    """Return the mean search score over the sentences."""
    return sum(translation.hypotheses[0].score for translation in found) / len(found)


def first_of_many_is_the_only_one(one: Sequence[Translation], five: Sequence[Translation]) -> bool:
    """Check that the first translation of `n_best: 5` is that of `n_best: 1`."""
    other = sum(a.text != b.text for a, b in zip(one, five, strict=True))
    print(f"n-best 5: {other} of {len(one)} first translations differ from those of n-best 1")
    return other == 0


def reported_is_scored(
    translator: Translator, sources: Sequence[str], found: Sequence[Translation]
) -> bool:
    """Check that search reports the log-probability that `nmt score` computes for the text."""
    pairs = [(source, best.text) for source, best in zip(sources, found, strict=True)]
    reported = translator.translate(sources, with_scores=True)
    gaps = [
        abs(scored.log_probability - best.hypotheses[0].log_probability)
        for scored, best in zip(translator.score(pairs), reported, strict=True)
    ]
    others = sum(
        one.hypotheses[0].tokens != best.hypotheses[0].tokens
        for one, best in zip(found, reported, strict=True)
    )
    print(
        f"score: at most {max(gaps):.1e} from what is reported ({others} of {len(found)} "
        "translations were found in other tokens than those of their text)"
    )
    return max(gaps) <= TOLERANCE


def batches_change_nothing(translator: Translator, sources: Sequence[str]) -> bool:
    """Check that batches of all sizes give equal translations, except for ties."""
    by_size = [
        replace(translator, runner=replace(translator.runner, batch_tokens=size)).translate(sources)
        for size in (1, 400, 4_000)
    ]
    different = [best for best in zip(*by_size, strict=True) if len({t.text for t in best}) > 1]
    worse = 0
    for best in different:
        scores = [translation.hypotheses[0].score for translation in best]
        worse += max(scores) - min(scores) > TOLERANCE
    print(
        f"batches of a sentence, 400 and 4,000 tokens: {len(different)} of {len(sources)} "
        f"translations differ, {worse} of them by a score of more than {TOLERANCE}"
    )
    return worse == 0


if __name__ == "__main__":
    sys.exit(main())

"""BLEU of lowercased text with Moses tokenization, to compare with papers that report it.

    python scripts/moses_bleu.py --hypotheses out.de --references test2016.de --language de

Hypotheses and references are raw (detokenized) text, line for line. The steps, for both:

1. lowercase;
2. normalise punctuation as Moses' normalize-punctuation.perl does (sacremoses, no options);
3. tokenise as Moses' tokenizer.perl does (sacremoses): aggressive dash splits are off, `&` and
   the like are not escaped (escaping both sides would change nothing);
4. BLEU of sacreBLEU without a tokenizer of its own (`tok:none`).

On Multi30k this gives the numbers of tokens that the dataset's README has for its `lc.norm.tok`
files (test2016: 12,968 en, 12,103 de, 13,988 fr).

The value is comparable to "tokenised, lowercased" figures in the literature (such as Multi30k's),
but only roughly, as scripts differ in details. It is not comparable to sacreBLEU's own figures (13a
tokens), which `nmt evaluate` prints.

Prints the value and its signature.
"""

import argparse
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from sacrebleu.metrics import BLEU
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from nmt.core.errors import DataError, UserError
from nmt.data.formats.lines import read_lines

LANGUAGES = ("cs", "de", "en", "fr")


def tokenize(lines: Iterable[str], language: str) -> list[str]:
    """Lowercase, normalise and tokenise each line, with spaces between the tokens."""
    normalize = MosesPunctNormalizer(lang=language).normalize
    split = MosesTokenizer(lang=language).tokenize
    return [
        split(normalize(line.lower()), return_str=True, escape=False, aggressive_dash_splits=False)
        for line in lines
    ]


def moses_bleu(hypotheses: list[str], references: list[str], language: str) -> tuple[float, str]:
    """Return BLEU, from 0 to 100, and a signature that names all of these steps.

    Raises:
        DataError: there is nothing to score, or the numbers of lines differ.
    """
    if len(hypotheses) != len(references):
        raise DataError(
            f"{len(hypotheses)} hypotheses and {len(references)} references; they must be line "
            f"for line"
        )
    if not hypotheses:
        raise DataError("no hypotheses: there is nothing to score")
    # `force`: silence sacreBLEU's warning about tokenised text, which is intended here.
    bleu = BLEU(tokenize="none", force=True)
    score = bleu.corpus_score(tokenize(hypotheses, language), [tokenize(references, language)])
    signature = (
        f"{bleu.get_signature()}|text:lc+moses-{language}|sacremoses:{version('sacremoses')}"
    )
    return score.score, signature


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hypotheses", metavar="FILE", type=Path, required=True)
    parser.add_argument("--references", metavar="FILE", type=Path, required=True)
    parser.add_argument("--language", choices=LANGUAGES, required=True, help="of both")
    given = parser.parse_args(arguments)
    try:
        value, signature = moses_bleu(
            list(read_lines(given.hypotheses)), list(read_lines(given.references)), given.language
        )
    except UserError as error:
        print(f"moses_bleu: error: {error}", file=sys.stderr)
        return 2
    print(f"{value:.2f}  {signature}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

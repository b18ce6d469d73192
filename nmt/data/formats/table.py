"""Table of the corpus formats."""

from typing import Any, Final

from nmt.data.formats.corpus import Corpus
from nmt.data.formats.grids import GridCorpus
from nmt.data.formats.json_lines import JsonLinesCorpus
from nmt.data.formats.text_pairs import TextCorpus, TsvCorpus

CORPORA: Final[dict[str, type[Corpus[Any]]]] = {
    "text": TextCorpus,
    "tsv": TsvCorpus,
    "grids": GridCorpus,
    "jsonl": JsonLinesCorpus,
}

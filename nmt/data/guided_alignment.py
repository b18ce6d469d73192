"""Word alignments for guided attention: from word links to reference attention weights.

They are stored as links between tokens, with two numbers per link.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from nmt.data.formats.corpus import Corpus, zip_lines
from nmt.data.formats.lines import read_lines
from nmt.data.ragged import RaggedArray
from nmt.text.reader import Item, SourceReader
from nmt.text.unit_tokens import UnitTokens
from nmt.word_alignment.pharaoh import Link, parse_pharaoh
from nmt.word_alignment.units import AlignmentUnits

LINK_DTYPE = np.dtype("<u4")


def read_links(
    files: Corpus[Item], source_reader: SourceReader[Item], target_reader: SourceReader[str]
) -> Iterator[list[int]]:
    """Yield the token links of each pair of a corpus: source, target, source, target, ...

    Possible links count like sure links. Links index the words of the raw text, or the alignment
    units of the corpus.

    Raises:
        DataError: the numbers of alignments and pairs differ, a link is malformed, or it refers to
            a word that does not exist.
    """
    assert files.alignments is not None
    aligned = zip_lines(
        files.read_pairs(),
        read_lines(files.alignments),
        lambda num_pairs, num_lines: (
            f"{files.alignments} has {num_lines:,} lines, but {files} {num_pairs:,}; line n of one "
            "must be the alignment of line n of the others"
        ),
    )
    for number, ((source, target), line) in enumerate(aligned, start=1):
        source_units = _units(source_reader, source, files.alignment_units)
        target_units = _units(target_reader, target, files.alignment_units)
        gold = parse_pharaoh(
            line,
            where=f"{files.alignments}, line {number}",
            sizes=(len(source_units.texts), len(target_units.texts)),
            hint="; if the links use other units, set alignment_units of the corpus",
        )
        yield _between_tokens(sorted(gold.possible), source_units, target_units)


def _units(reader: SourceReader[Item], item: Item, units: AlignmentUnits) -> UnitTokens:
    return reader.split_units(reader.encode_words(item), units)


def _between_tokens(links: Sequence[Link], source: UnitTokens, target: UnitTokens) -> list[int]:
    """Link each token of a source unit to each token of its linked target units."""
    pairs = {
        (source_token, target_token): None
        for source_unit, target_unit in links
        for target_token in target.members[target_unit]
        for source_token in source.members[source_unit]
    }  # without duplicates, as a token may be in several units
    return [token for pair in pairs for token in pair]


def target_weights(links: RaggedArray, num_labels: int, num_positions: int) -> Tensor:
    """Return reference attention weights, `[B T S]`, float32.

    The weights of a label are uniform over its links, or zeros if it has none.

    Args:
        links: B rows from `read_links`.
        num_labels: T, including EOS and padding.
        num_positions: S, including EOS and padding.
    """
    row = np.repeat(np.arange(len(links)), links.lengths // 2)
    source, target = links.values.reshape(-1, 2).astype(np.int64).T
    weights = np.zeros((len(links), num_labels, num_positions), np.float32)
    weights[row, target, source] = 1.0
    total = weights.sum(-1, keepdims=True)
    return torch.from_numpy(np.divide(weights, total, out=weights, where=total > 0))

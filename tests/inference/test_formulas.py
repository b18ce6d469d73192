"""The formula, the source and the line of every part, read from its class."""

from pathlib import Path

import pytest

import nmt
from nmt.inference.formulas import describe_part
from nmt.nn.attention.alignments.table import ALIGNMENTS
from nmt.nn.attention.attention import Attention, FixedContext
from nmt.nn.attention.multi_head import MultiHeadAttention
from nmt.nn.attention.scores.additive import AdditiveScore
from nmt.nn.attention.scores.table import SCORES
from nmt.nn.bridge import BRIDGES
from nmt.nn.decoders.table import DECODERS
from nmt.nn.encoders.table import ENCODERS
from nmt.nn.recurrent.gru import GRU
from nmt.nn.recurrent.table import CELLS

TABLES = [SCORES, ALIGNMENTS, CELLS, ENCODERS, BRIDGES, DECODERS]
OTHERS = [Attention, FixedContext, MultiHeadAttention]
PARTS = [*(part for table in TABLES for part in table.values()), *OTHERS]
WITHOUT_SOURCE = {"UniformScore", "ZeroBridge", "GridEncoder"}  # they are of no paper


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_part_states_its_formula_its_source_and_its_line(part):
    found = describe_part(part)
    assert found.formulas
    assert bool(found.source) != (part.__name__ in WITHOUT_SOURCE)
    lines = (Path(nmt.__file__).parents[1] / found.file).read_text().splitlines()
    assert lines[found.line - 1].strip().startswith(f"def {found.method}(")


def test_the_additive_score_by_hand():
    found = describe_part(AdditiveScore)
    assert found.name == found.defined_by == "AdditiveScore"
    assert found.formulas == ("v . tanh(W q + U h + b)",)
    assert found.source == "Bahdanau 2015, A.1.2"
    assert found.method == "compare"
    assert found.file == "nmt/nn/attention/scores/additive.py"


def test_a_gru_has_all_of_its_equations():
    assert len(describe_part(GRU).formulas) == 4


class Doubled(GRU):
    """A GRU that counts twice (Mine 2031, eq. 7)."""


class Silent(GRU):
    pass


class Nothing:
    """Some class."""


def test_a_class_without_a_formula_has_those_of_its_base():
    found = describe_part(Doubled)
    assert (found.name, found.defined_by, found.source) == ("Doubled", "GRU", "Mine 2031, eq. 7")
    assert found.formulas == describe_part(GRU).formulas
    assert describe_part(Silent).source == "Cho 2014"


def test_a_class_that_states_nothing_is_described_by_its_name():
    found = describe_part(Nothing)
    assert (found.name, found.formulas, found.source, found.line) == ("Nothing", (), "", 0)


def test_a_class_made_at_run_time_has_no_line():
    namespace: dict[str, object] = {}
    exec("class Made:\n    def forward(self): ...", namespace)
    assert describe_part(namespace["Made"]).line == 0


def test_formulas_of_arguments_do_not_count():
    class Part:
        """Some part: ``a = b``.

        Args:
            x: as in ``c = d``.
        """

    assert describe_part(Part).formulas == ("a = b",)


def test_of_later_paragraphs_only_equations_count():
    class Part:
        """Some part: ``v . tanh(x)``.

        It calls ``f(x)``, so ``c = d``.
        """

    assert describe_part(Part).formulas == ("v . tanh(x)", "c = d")

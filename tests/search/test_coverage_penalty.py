import math

import pytest
import torch

from nmt.core.coverage import Coverage
from nmt.search.coverage_penalty import GNMTCoverage, NoCoverage, SeeCoverage, SummaryCoverage


def test_coverage_worked_by_hand():
    seen = torch.tensor([[0.5, 1.0, 2.0], [0.25, 0.5, 1.0], [1.0, 1.5, 4.0]])
    coverage = Coverage(seen, again=torch.tensor([0.5, 0.0, 3.0]))
    assert GNMTCoverage(beta=2.0)(coverage).tolist() == pytest.approx(
        [2 * math.log(0.5), 2 * math.log(0.125), 0.0]
    )
    assert SummaryCoverage(beta=2.0)(coverage).tolist() == pytest.approx([-2.0, 0.0, -7.0])
    assert SeeCoverage(beta=2.0)(coverage).tolist() == pytest.approx([-1.0, 0.0, -6.0])
    assert NoCoverage()(coverage).tolist() == [0.0, 0.0, 0.0]


def test_penalty_of_unattended_words_is_finite():
    assert GNMTCoverage()(Coverage(torch.zeros(1, 5), torch.zeros(1))).isfinite().all()


def test_repeated_attention_is_summed_by_hand():
    mask = torch.tensor([[True, True, True], [True, True, False]])
    weights = torch.tensor(
        [
            [[0.5, 0.5, 0.0], [0.2, 0.7, 0.1], [0.0, 0.1, 0.9]],
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]],
        ]
    )
    # 0.2 + 0.5 (of 0.7), then 0.1 + 0.1 (of 0.9); and of the other 0.5 + 0.5 in the last step.
    before = Coverage.none(mask, torch.float32)
    for coverage in (
        before.add(weights),
        before.add(weights[:, :1]).add(weights[:, 1:2]).add(weights[:, 2:]),
    ):
        assert coverage.again.tolist() == pytest.approx([0.9, 1.0])
        assert coverage.seen[0].tolist() == pytest.approx([0.7, 1.3, 1.0])
        assert coverage.seen[1].tolist() == [1.5, 1.5, 1.0]
        assert SeeCoverage(beta=0.5)(coverage).tolist() == pytest.approx([-0.45, -0.5])

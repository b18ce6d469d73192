"""The searches that a configuration can name."""

from typing import Final

from nmt.search.beam import BeamSearch
from nmt.search.diverse_beam import DiverseBeamSearch
from nmt.search.greedy import GreedySearch
from nmt.search.sampling import SamplingSearch
from nmt.search.search import Search

SEARCHES: Final[dict[str, type[Search]]] = {
    "beam": BeamSearch,
    "greedy": GreedySearch,
    "diverse_beam": DiverseBeamSearch,
    "sampling": SamplingSearch,
}

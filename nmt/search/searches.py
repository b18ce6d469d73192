"""The searches that a configuration can name."""

from typing import Final

from nmt.search.beam import BeamSearch
from nmt.search.greedy import GreedySearch
from nmt.search.search import Search

SEARCHES: Final[dict[str, type[Search]]] = {
    "beam": BeamSearch,
    "greedy": GreedySearch,
}

"""The random model of the search tests, for the search of exported files."""

from tests.search.conftest import random_model as random_model

import pytest
from hypothesis import given, strategies as st

from nmt.core.errors import DataError
from nmt.word_alignment.pharaoh import GoldAlignment, format_pharaoh, parse_pharaoh

LINKS = st.frozensets(st.tuples(st.integers(0, 99), st.integers(0, 99)))


def gold(sure, possible=frozenset()):
    return GoldAlignment(frozenset(sure), frozenset(sure) | frozenset(possible))


class TestPharaoh:
    def test_is_sorted_by_source_then_target(self):
        assert format_pharaoh({(10, 0), (2, 1), (2, 0)}) == "2-0 2-1 10-0"

    @given(LINKS)
    def test_written_file_is_read_back(self, links):
        read = parse_pharaoh(format_pharaoh(links), where="x")
        assert read == GoldAlignment(links, links)

    def test_possible_links_are_read(self):
        assert parse_pharaoh("0-0 1p2\n", where="x") == gold({(0, 0)}, {(1, 2)})

    @pytest.mark.parametrize("item", ["1", "a-b", "1-", "-1-2", "1-2-3", "1_2", "1-²"])
    def test_invalid_link_is_refused(self, item):
        with pytest.raises(DataError, match=r"gold\.align:7: .* is not a link; write i-j"):
            parse_pharaoh(f"0-0 {item}", where="gold.align:7")

    def test_link_to_a_missing_word_is_refused(self):
        assert parse_pharaoh("2-1", where="x", sizes=(3, 2)) == gold({(2, 1)})
        with pytest.raises(DataError, match=r"x:1: '3-1' names source word 3, .* has 3 words"):
            parse_pharaoh("3-1", where="x:1", sizes=(3, 2))
        with pytest.raises(DataError, match=r"x:1: '2-2' names target word 2, .* has 2 words"):
            parse_pharaoh("2-2", where="x:1", sizes=(3, 2))

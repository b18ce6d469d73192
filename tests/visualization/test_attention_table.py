import numpy as np
import pytest

from nmt.visualization.attention_table import attention_table


def columns(line):
    """Of a line on the screen, where the letters below take two."""
    return sum(2 if letter in "漢字犬" else 1 for letter in line)


class TestAttentionTable:
    def test_by_hand(self):
        weights = np.array([[0.97, 0.03, 0.0], [0.049, 0.6, 0.3]])
        table = attention_table(weights, ["Tom", "chases", "."], ["Tom", "jagt"])
        assert table.splitlines() == [
            "      Tom   chases  .",
            "Tom   █  97",
            "jagt        ▓  60   ▒  30",
            "",
            "░ from 5%, ▒ from 25%, ▓ from 50%, █ from 75%",
        ]

    def test_a_shade_begins_at_its_share(self):
        weights = np.array([[0.75, 0.5, 0.25, 0.05, 0.04]])
        table = attention_table(weights, ["a", "b", "c", "d", "e"], ["x"])
        assert table.splitlines()[1].split() == ["x", "█", "75", "▓", "50", "▒", "25", "░", "5"]

    @pytest.mark.parametrize("width", [12, 13])  # a margin of 3, and three times 3
    def test_long_words_are_written_vertically(self, width):
        weights = np.eye(3)
        table = attention_table(weights, ["ab", "c", "def"], ["x", "y", "z"], width=width)
        assert table.splitlines()[:6] == [
            "         d",
            "   a     e",
            "   b  c  f",
            "x  ██",
            "y     ██",
            "z        ██",
        ]

    @pytest.mark.parametrize(("width", "fits"), [(100, True), (80, True), (50, True), (40, False)])
    def test_table_fits_the_given_width(self, width, fits):
        words = [f"word{i}" for i in range(20)]
        table = attention_table(np.eye(20), words, words, width=width)
        assert (max(map(len, table.splitlines()[:-1])) <= width) is fits

    def test_columns_align_below_wide_letters_and_accents(self):
        words = ["漢字", "e\u0301a", "x"]
        lines = attention_table(np.ones((3, 3)), words, words).splitlines()
        body = [line.replace("\u0301", "") for line in lines[1:4]]
        assert [columns(line) for line in body] == [columns(body[0])] * 3
        starts = [columns(line[: line.index("█")]) for line in body]
        assert starts == [columns(lines[0][: lines[0].index("漢")])] * 3

    @pytest.mark.parametrize("control", ["\x1b", "\x00", "\x07", "\x9b", "\n", "\u202e", "\u2066"])
    def test_controls_are_replaced(self, control):
        word = f"a{control}b"
        lines = attention_table(np.ones((1, 1)), [word], [word]).splitlines()
        assert lines[0].split() == ["a\ufffdb"] and lines[1].split()[0] == "a\ufffdb"

    def test_long_words_are_cut(self):
        words = ["x" * 5000, "y" * 30]
        lines = attention_table(np.ones((1, 2)), words, ["z" * 31], width=60).splitlines()
        header = [line.split() for line in lines[:30]]
        assert header == [["x", "y"]] * 29 + [["…", "y"]]
        assert lines[30].split()[0] == "z" * 29 + "…"

    def test_takes_empty_sentences(self):
        assert attention_table(np.zeros((0, 0)), [], []).startswith("\n")
        assert "Tom" in attention_table(np.zeros((0, 1)), ["Tom"], [])
        assert "Tom" in attention_table(np.zeros((1, 0)), [], ["Tom"])

"""`nmt trace`: the same words as `nmt translate`, as text, JSON and page."""

import json
import shlex
from pathlib import Path

import numpy as np

from tests.integration.conftest import Command

LINE = "two three four ."


def test_a_trace_in_the_terminal(nmt: Command, in_trained: Path) -> None:
    translation = nmt("translate", "runs/tiny", stdin=LINE.encode()).lines[0]
    outcome = nmt("trace", "runs/tiny", LINE)
    assert outcome.code == 0, outcome.err
    assert outcome.lines[:2] == [f"source    {LINE}", f"target    {translation}"]
    assert f'1  after "<s>": "{translation.split()[0]}"' in outcome.out
    assert "v . tanh(W q + U h + b)" in outcome.out
    assert nmt("trace", "runs/tiny", "-", stdin=f"{LINE}\nfive\n".encode()) == outcome


def test_a_trace_as_json_and_as_a_page(nmt: Command, in_trained: Path, tmp_path: Path) -> None:
    files = tmp_path / "a.json", tmp_path / "a.html"
    given = ("trace", "runs/tiny", LINE, "--beam-size", 2)
    outcome = nmt(*given, "--json", files[0], "--html", files[1])
    assert (outcome.code, outcome.out) == (0, "")
    found = json.loads(files[0].read_text())
    weights = found["arrays"]["decoder.attention.weights"]
    rows = np.array(weights["values"]).reshape(weights["shape"])
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-5)
    assert found["tree"]["places"] == 2
    page = files[1].read_text()
    assert page.startswith("<!doctype html>") and "runs/tiny: trace" in page
    assert page.count('"languages":["en","de"]') == 2  # of the texts, and of the attention
    forced = found["steps"][0]["likeliest"][1]["prefix"]
    command = shlex.join(["nmt", "trace", "runs/tiny", "--beam-size=2", f"--prefix={forced}", LINE])
    assert json.dumps(command, ensure_ascii=False)[1:-1].replace("<", "\\u003c") in page
    again = nmt(*shlex.split(command)[1:])
    assert again.lines[1].removeprefix("target").strip().startswith(forced)


def test_nothing_in_a_sentence_moves_the_cursor(nmt: Command, in_trained: Path) -> None:
    outcome = nmt("trace", "runs/tiny", "two \x1b[2J\u202e three")
    assert outcome.code == 0, outcome.err
    assert not [one for one in outcome.out if one != "\n" and not one.isprintable()]


def test_what_cannot_be_traced(nmt: Command, in_trained: Path, tmp_path: Path) -> None:
    nmt("trace", "runs/tiny", " ").assert_refused(
        "SENTENCE: is blank; give a text of at least one word"
    )
    nmt("trace", "runs/tiny", "-").assert_refused("SENTENCE: is blank")
    nmt("trace", "runs/none", LINE).assert_refused("runs/none")
    nmt("trace", "runs/tiny", LINE, "--json", "train.en").assert_refused("--json train.en")
    nmt("trace", "runs/tiny", LINE, "--html", "a", "--json", "a").assert_refused("is also")
    nmt("trace", "runs/tiny", LINE, "--ensemble", "runs/tiny").assert_refused("unrecognized")


def test_an_exported_file_lacks_what_is_in_its_graph(
    nmt: Command, in_trained: Path, exported: Path, tmp_path: Path
) -> None:
    translation = nmt("translate", exported, stdin=LINE.encode()).lines[0]
    outcome = nmt("trace", exported, LINE)
    assert outcome.code == 0, outcome.err
    assert outcome.lines[1] == f"target    {translation}"
    assert outcome.lines[-1].startswith("not in this trace: states, gates, attention and beam,")
    page = tmp_path / "a.html"
    assert nmt("trace", exported, LINE, "--html", page).code == 0
    assert "which stay inside the exported graph" in page.read_text()
    assert '"languages":["en","de"]' in page.read_text()
    nmt("trace", exported, LINE, "--prefix", "a").assert_refused("--prefix: not supported")

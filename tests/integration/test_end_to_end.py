"""Train, translate, evaluate, score, align, check: through the command line, on a small run."""

import gzip
import json
import math
import os
import re
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.config.file import load_config
from nmt.config.registry import METRICS, PlugIn
from nmt.evaluation.bleu import Bleu
from nmt.evaluation.metric import Score
from nmt.inference.translator import Translation, Translator

pytestmark = pytest.mark.usefixtures("in_trained")

SENTENCES = "one two three .\nnine nine .\nfive four .\n"
RIGHT = ["drei zwei eins .", "neun neun .", "vier fünf ."]


def test_run_has_the_documented_files(in_trained: Path) -> None:
    run = in_trained / "runs" / "tiny"
    log = (run / "train.log").read_text()
    assert "train.en and train.de: 400 of 400 pairs kept" in log
    assert re.search(
        r" runs/tiny: [\d,]+ parameters, cpu, float32, 16 epochs of \d+ updates\n", log
    )
    assert re.search(
        r" the best model \(bleu [\d.]+ at update [\d,]+\) is in runs/tiny; "
        r"`nmt translate runs/tiny FILE` uses it\n$",
        log,
    )
    for name in (
        *("config.yaml", "metrics.jsonl", "train.log", "environment.json", "results.json"),
        *("tokenizer", "cache", "checkpoints/best", "checkpoints/last", "translations", "plots"),
    ):
        assert (run / name).exists(), name


def test_translations_are_right(nmt: Any) -> None:
    outcome = nmt("translate", "runs/tiny", stdin=SENTENCES.encode())
    assert (outcome.code, outcome.lines) == (0, RIGHT)


def test_at_a_terminal_each_line_is_answered_before_the_next(in_trained: Path) -> None:
    keyboard, terminal = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "nmt", "translate", "runs/tiny"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(terminal)
        assert process.stdout is not None and process.stderr is not None
        for line, right in zip(SENTENCES.splitlines(), RIGHT, strict=True):
            os.write(keyboard, f"{line}\n".encode())
            assert select.select([process.stdout], [], [], 120.0)[0], "no answer"
            assert process.stdout.readline().decode() == f"{right}\n"
        os.write(keyboard, b"\x04")  # Ctrl-D
        assert process.wait(120.0) == 0
        told = process.stderr.read().decode()
        assert told == f"type a sentence and press Enter; Ctrl-D ends\n{'> ' * 4}\n"
    os.close(keyboard)


def test_attention_is_shown_with_the_translation(nmt: Any) -> None:
    outcome = nmt("translate", "runs/tiny", "--attention", stdin=b"one two .\n\nnine .\n")
    assert outcome.lines == ["zwei eins .", "", "neun ."]
    tables = outcome.err.split("from 75%\n")[:-1]
    assert [len(table.splitlines()) for table in tables] == [6, 5]  # words, blank, legend
    assert tables[0].split()[:3] == ["one", "two", "."]
    assert tables[0].splitlines()[1].startswith("zwei") and "█" in tables[0]


def test_unknown_words_are_reported(nmt: Any) -> None:
    outcome = nmt("translate", "runs/tiny", stdin=b"one two .\nforty two .\n")
    assert outcome.err == "nmt: warning: line 2: 1 of 3 tokens is unknown to the model\n"
    assert len(outcome.lines) == 2


def test_files_are_translated_in_order_plain_or_compressed(nmt: Any, tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("one two three .\nnine nine .")
    (tmp_path / "b.en.gz").write_bytes(gzip.compress(b"five four .\n"))
    outcome = nmt("translate", "runs/tiny", tmp_path / "a.en", tmp_path / "b.en.gz")
    assert outcome.lines == RIGHT


@pytest.mark.parametrize(
    "words",
    [
        ("score", "--source", "test.en", "--target", "test.de"),
        ("align", "--source", "test.en", "--target", "test.de"),
        ("rescore", "--source", "test.en", "--n-best", "n-best"),
        ("evaluate", "--search", "greedy"),
    ],
    ids=lambda words: words[0],
)
def test_an_output_in_gz_is_compressed(nmt: Any, in_copy: Path, words: tuple[str, ...]) -> None:
    Path("n-best").write_text("0 ||| eins .\n3 ||| zwei .\n")
    command, *rest = words
    for name in ("plain", "packed.gz"):
        assert nmt(command, "runs/tiny", *rest, "-o", name).code == 0
    assert gzip.decompress(Path("packed.gz").read_bytes()) == Path("plain").read_bytes() != b""


def test_any_line_gives_one_line(nmt: Any) -> None:
    lines = [
        *(
            b"",
            b"   ",
            b"one .\r",
            b"\xff\xfe bad",
            b"nul\0nul",
            b"\xe2\x80\xa8",
            b"\x0b \x0c \x85",
        ),
        *(
            b"one " * 100_000,
            "größte 日本語 \N{PILE OF POO}".encode(),
            b"<s> </s> <pad> <unk>",
            b"a\tb",
        ),
        *(b"\xed\xa0\x80 lone surrogate", b"\xef\xbb\xbf", b"x" * 100_000, b"two ."),
    ]
    outcome = nmt("translate", "runs/tiny", stdin=b"\n".join(lines))
    assert outcome.code == 0
    assert len(outcome.out.split("\n")) == len(lines) + 1
    assert outcome.lines[:3] == ["", "", "eins ."]
    assert outcome.lines[-1] == "zwei ."
    assert "nmt: warning: stdin, line 4, byte 12: 0xff is not UTF-8" in outcome.err
    assert "nmt: warning: stdin, line 5, byte" in outcome.err


def test_an_object_for_each_line_has_all_that_is_known(nmt: Any) -> None:
    given = b"one two .\n\n\xff three .\n"
    model = ("runs/tiny", "--precision", "float32")
    outcome = nmt("translate", *model, "--json", "--n-best", "2", stdin=given)
    first, empty, damaged = (json.loads(line) for line in outcome.lines)
    assert (first["line"], first["source"], first["translation"]) == (1, "one two .", "zwei eins .")
    assert first["tokens"] == ["zwei", "eins", "."]
    assert first["alignment"]["source"] == ["one", "two", "."]
    assert first["alignment"]["target"] == ["zwei", "eins", "."]
    weights = np.array(first["alignment"]["weights"])
    assert weights.shape == (3, 3) and weights.argmax(axis=1).tolist()[:2] == [1, 0]
    for item in (first, *first["hypotheses"]):
        assert len(item["token_log_probabilities"]) == len(item["tokens"]) + 1
        total = sum(item["token_log_probabilities"])
        assert total == pytest.approx(item["log_probability"], abs=1e-4)
    plain = nmt("translate", *model, "--scores", "--n-best", "2", stdin=given).lines
    told = [
        f"0 ||| {item['translation']} ||| {item['score']:.6f} ||| {item['log_probability']:.6f}"
        for item in first["hypotheses"]
    ]
    assert told == plain[:2]
    assert (empty["line"], empty["source"], empty["translation"]) == (2, "", "")
    nothing = {"source": [], "target": [], "units": "words", "pairs": "", "weights": []}
    assert empty["alignment"] == nothing
    assert empty["token_log_probabilities"] == []
    assert damaged["source"] == "\N{REPLACEMENT CHARACTER} three ."


def test_every_search_translates_on_the_command_line(nmt: Any, tmp_path: Path) -> None:
    (tmp_path / "begun").write_text("eins\n\n")
    (tmp_path / "wanted").write_text("neun\tacht\n\n")
    stdin = b"one two .\nnine .\n"

    def lines(*arguments: object) -> list[str]:
        outcome = nmt("translate", "runs/tiny", *arguments, stdin=stdin)
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.lines

    plain = lines()
    assert plain == ["zwei eins .", "neun ."]
    assert lines("--search", "greedy") == plain
    assert lines("--search", "diverse_beam", "--set", "search.groups=5") == plain
    assert lines("--search", "sampling", "--set", "search.top_k=1") == plain
    assert lines("--set", "mbr=chrf", "--set", "mbr_candidates=3") == plain
    assert lines("--ensemble", "runs/tiny", "--average", "log") == plain
    begun = lines("--prefixes", tmp_path / "begun")
    assert begun[0].startswith("eins") and begun[1] == plain[1]
    wanted = lines("--constraints", tmp_path / "wanted")
    assert {"neun", "acht"} <= set(wanted[0].split()) and wanted[1] == plain[1]
    assert "zwei" not in lines("--set", "forbidden=[zwei]")[0]


def test_diverse_beam_finds_other_lines_by_default(nmt: Any) -> None:
    outcome = nmt(
        *("translate", "runs/tiny", "test.en", "--search", "diverse_beam"),
        *("--beam-size", "4", "--n-best", "4"),
    )
    found: dict[str, list[str]] = {}
    for line in outcome.lines:
        number, text, _ = line.split(" ||| ")
        found.setdefault(number, []).append(text)
    assert len(found) == 20
    assert all(len(set(texts)) == len(texts) for texts in found.values())
    assert sum(len(texts) > 1 for texts in found.values()) >= 16


def test_translations_of_another_system_are_ranked(nmt: Any, tmp_path: Path) -> None:
    source, n_best = tmp_path / "source", tmp_path / "n-best"
    source.write_text("one two .\nnine .\nthree .\n")
    n_best.write_text("0 ||| eins zwei .\n0 ||| zwei eins . ||| LM: 3 ||| -1\n2 ||| drei .\n")
    model = ("runs/tiny", "--precision", "float32")
    given = ("rescore", *model, "--source", source, "--n-best")
    lines = [line.split(" ||| ") for line in nmt(*given, n_best).lines]
    assert [line[:2] for line in lines] == [
        ["0", "zwei eins ."],
        ["0", "eins zwei ."],
        ["2", "drei ."],
    ]
    assert float(lines[0][2]) == pytest.approx(float(lines[0][3]) / 4, abs=1e-5)
    own = nmt("translate", *model, source, "--n-best", "3", "--scores").lines
    n_best.write_text("".join(f"{line}\n" for line in own))
    again = nmt(*given, n_best).lines
    for one, two in zip(own, again, strict=True):
        *text, score, total = one.split(" ||| ")
        *same_text, same_score, same_total = two.split(" ||| ")
        assert same_text == text
        assert float(same_score) == pytest.approx(float(score), abs=1e-4)
        assert float(same_total) == pytest.approx(float(total), abs=1e-4)
    nmt(*given, n_best, "--set", "coverage_penalty=gnmt").assert_refused(
        "decoding.coverage_penalty: 'gnmt' is only used in search; set it to none",
        "(--set coverage_penalty=none)",
    )
    assert nmt(*given, n_best, "--set", "coverage_penalty=none").lines == again
    (first, *_) = nmt(*given, n_best, "--length-penalty", "none").lines
    *_, score, total = first.split(" ||| ")
    assert score == total
    for argument in ("--beam-size", "--search"):
        nmt(*given, n_best, argument, "1").assert_refused("unrecognized arguments")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("0 ||| eins\nzwei\n", "n-best, line 2: must be `line ||| translation ||| ...`"),
        (
            "3 ||| eins\n",
            "source is shorter (lines are counted from 0); give the source file of this",
        ),
        ("1 ||| eins\n0 ||| zwei\n", "n-best: line 0 follows line 1; sort the list"),
    ],
)
def test_invalid_n_best_list_is_refused(content: str, part: str, nmt: Any, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("one .\ntwo .\n")
    (tmp_path / "n-best").write_text(content)
    given = ("--source", tmp_path / "source", "--n-best", tmp_path / "n-best")
    nmt("rescore", "runs/tiny", *given).assert_refused(part)


def test_penalties_of_the_run_are_tried_and_kept_if_best(nmt: Any, in_copy: Path) -> None:
    given = ("tune", "runs/tiny", "--length-penalties", "none, word_reward,0.7")
    before = Path("runs/tiny/config.yaml").read_bytes()
    outcome = nmt(*given, "--coverage-penalties", "none,0.3", "--metric", "chrf", "--dry-run")
    assert outcome.code == 0
    head, own, *rows = outcome.lines
    assert head.split() == ["length", "penalty", "coverage", "penalty", "chrF"]
    assert own.split()[:2] == ["average", "none"], "what the run has is measured, too"
    assert len(rows) == 6
    kept = (
        "best: the run's own penalties (length penalty average, coverage penalty none), which are "
        "kept\n"
    )
    assert outcome.err == kept
    assert nmt(*given).err == kept
    assert Path("runs/tiny/config.yaml").read_bytes() == before
    outcome = nmt("tune", "runs/tiny", "--metric", "{name: chrf, word_order: 2}")
    assert len(outcome.lines) == 1 + 6, "average is one of the default grid"
    assert outcome.lines[0].endswith("chrF++")


def test_a_grid_of_penalties_with_options(nmt: Any, in_copy: Path) -> None:
    lengths = "{name: word_reward, reward: 0.2},word_reward,{name: none}"
    coverages = "{name: summary, beta: 0.3}, {beta: 0.4, name: summary},none"
    outcome = nmt(
        "tune", "runs/tiny", "--length-penalties", lengths, "--coverage-penalties", coverages
    )
    assert [re.split("  +", row)[:2] for row in outcome.lines[2:]] == [
        [length, coverage]
        for length in ("word_reward (reward 0.2)", "word_reward (reward 0.5)", "none")
        for coverage in ("summary (beta 0.3)", "summary (beta 0.4)", "none")
    ]
    refused = nmt("tune", "runs/tiny", "--length-penalties", "average,{name: word_reward, beta: 1}")
    refused.assert_refused("--length-penalties {name: word_reward, beta: 1}: ", "'beta'")
    refused = nmt("tune", "runs/tiny", "--length-penalties", "0.5,avarage")
    refused.assert_refused("--length-penalties avarage: unknown length penalty 'avarage'")
    refused = nmt("tune", "runs/tiny", "--coverage-penalties=none,-2")
    refused.assert_refused("--coverage-penalties -2: ", "must be at least 0")
    nmt("tune", "runs/tiny", "--length-penalty", "1").assert_refused("unrecognized arguments")
    nmt("tune", "runs/tiny", "--set", "length_penalty.alpha=1").assert_refused(
        "--set length_penalty.alpha=1: has no effect here; give --length-penalties"
    )
    nmt("tune", "runs/tiny", "--metric", "blue").assert_refused(
        "--metric blue: unknown metric 'blue' (did you mean 'bleu'?); allowed: bleu, bleu_lc"
    )
    nmt("tune", "runs/tiny", "--metric", "bleu,chrf").assert_refused(
        "--metric bleu,chrf: must be one metric; leave the others out"
    )
    nmt("tune", "runs/tiny", "--coverage-penalties", ",").assert_refused(
        "must not be empty; name a penalty"
    )
    Path("valid.en").unlink()
    nmt("tune", "runs/tiny").assert_refused(
        "runs/tiny: cannot read its validation set", "give --source and --reference"
    )


@pytest.mark.parametrize("p_value", [0.049, 0.05])
@pytest.mark.parametrize(
    ("values", "higher_is_better"),
    [([1.5, 1.0, 2.0, 4.0, 3.0, 4.0, 0.0], True), ([3.5, 3.0, 2.0, 1.0, 2.0, 1.0, 4.0], False)],
)
def test_best_penalties_are_saved_if_significantly_better(
    values: list[float],
    higher_is_better: bool,
    p_value: float,
    nmt: Any,
    in_copy: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left, tried, loaded, compared = list(values), [], [], []

    class Stub(Bleu):
        title = "stub"

        def __call__(self, hypotheses: Sequence[str], *references: Sequence[str]) -> Score:
            return Score("stub", left.pop(0), "none")

        def p_value(
            self, baseline: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]
        ) -> float:
            compared.append((baseline[0], hypotheses[0]))
            return p_value

    def translate(self: Translator, lines: list[str]) -> list[Translation]:
        scoring = self.runner.search.scoring
        tried.append((type(scoring.length).__name__, type(scoring.coverage).__name__))
        return [Translation((" ".join(tried[-1]),), ())]

    def from_run(*arguments: Any, **options: Any) -> Translator:
        loaded.append(arguments)
        return load(*arguments, **options)

    Stub.higher_is_better = higher_is_better
    load = Translator.from_run
    monkeypatch.setitem(METRICS.classes, "bleu", Stub)
    monkeypatch.setattr(Translator, "translate", translate)
    monkeypatch.setattr(Translator, "from_run", from_run)
    before = load_config(Path("runs/tiny/config.yaml"))
    given = ("--length-penalties", "none,0.7,word_reward", "--coverage-penalties", "none,0.3")
    outcome = nmt("tune", "runs/tiny", *given)
    assert [float(row.split()[-1]) for row in outcome.lines[1:]] == values
    assert tried == [
        ("AveragePenalty", "NoCoverage"),
        *(
            (length, coverage)
            for length in ("NoPenalty", "GNMTPenalty", "WordReward")
            for coverage in ("NoCoverage", "GNMTCoverage")
        ),
    ]
    assert len(loaded) == 1
    assert compared == [("AveragePenalty NoCoverage", "GNMTPenalty NoCoverage")]
    told = (
        "best: length penalty gnmt (alpha 0.7), coverage penalty none, 2.50 stub better than "
        "the run's own (length penalty average, coverage penalty none); "
        f"p = {p_value:.3f} by paired bootstrap"
    )
    after = load_config(Path("runs/tiny/config.yaml"))
    if p_value < 0.05:
        assert outcome.err == f"{told}\nruns/tiny/config.yaml now has the best penalties\n"
        chosen = {"length_penalty": PlugIn(name="gnmt", alpha=0.7)}
        decoding = before.decoding.model_copy(update=chosen)
        assert after == before.model_copy(update={"decoding": decoding})
    else:
        assert outcome.err == f"{told}, not below 0.05, so the run keeps its own\n"
        assert after == before


def test_the_scores_of_tokens(nmt: Any, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("one two .\n")
    (tmp_path / "target").write_text("zwei eins .\n")
    given = ("score", "runs/tiny", "--source", tmp_path / "source", "--target", tmp_path / "target")
    (line,) = nmt(*given, "--json").lines
    told = json.loads(line)
    assert told["tokens"] == ["zwei", "eins", ".", "</s>"]
    assert sum(told["token_log_probabilities"]) == pytest.approx(told["log_probability"], abs=1e-4)
    assert told["perplexity"] == pytest.approx(math.exp(-told["log_probability"] / 4), abs=1e-4)
    assert nmt(*given).lines == [f"{told['log_probability']:.6f}"]


def test_nothing_in_nothing_out(nmt: Any) -> None:
    assert nmt("translate", "runs/tiny", stdin=b"").out == ""


def test_a_file_for_the_output_and_one_for_the_alignments(nmt: Any, tmp_path: Path) -> None:
    output, links = tmp_path / "out.de", tmp_path / "out.align"
    outcome = nmt(
        *("translate", "runs/tiny", "-o", output, "--alignments", links),
        stdin=f"{SENTENCES}\n".encode(),
    )
    assert (outcome.code, outcome.out) == (0, "")
    assert output.read_text() == "".join(f"{line}\n" for line in [*RIGHT, ""])
    assert [len(line.split()) for line in links.read_text().split("\n")] == [4, 3, 3, 0, 0]


def test_n_best_has_the_format_of_moses_and_begins_with_the_best(nmt: Any) -> None:
    arguments = ("translate", "runs/tiny", "--n-best", 3)
    rows = [line.split(" ||| ") for line in nmt(*arguments, stdin=SENTENCES.encode() + b"\n").lines]
    assert [row[0] for row in rows] == [*"000", *"111", *"222", "3"]
    assert [row[1] for row in rows[::3]] == [*RIGHT, ""]
    for first in (0, 3, 6):
        scores = [float(row[2]) for row in rows[first : first + 3]]
        assert scores == sorted(scores, reverse=True)


def test_the_score_of_the_search_is_that_of_nmt_score(nmt: Any, tmp_path: Path) -> None:
    model = ("runs/tiny", "--precision", "float32")
    translated = nmt("translate", *model, "--scores", "test.en")
    columns = [line.split("\t") for line in translated.lines]
    (tmp_path / "out.de").write_text("".join(f"{column[2]}\n" for column in columns))
    scored = nmt("score", *model, "--source", "test.en", "--target", tmp_path / "out.de")
    assert [float(column[1]) for column in columns] == pytest.approx(
        [float(line) for line in scored.lines], abs=1e-4
    )


def test_greedy_and_length_penalties_can_be_set(nmt: Any) -> None:
    plain = nmt("translate", "runs/tiny", "--scores", stdin=b"one two .")
    for options in (["--beam-size", "1"], ["--length-penalty", "none"]):
        outcome = nmt("translate", "runs/tiny", "--scores", *options, stdin=b"one two .")
        assert outcome.lines[0].split("\t")[2] == plain.lines[0].split("\t")[2] == "zwei eins ."
    # Under no penalty the score is the log-probability; GNMT's with alpha 0 is no penalty either.
    for penalty in ("none", "0"):
        outcome = nmt("translate", "runs/tiny", "--scores", "--length-penalty", penalty, "test.en")
        for line in outcome.lines:
            score, log_probability, _ = line.split("\t")
            assert float(score) == pytest.approx(float(log_probability), abs=1e-5)


def test_evaluate_scores_the_test_set_of_the_run(nmt: Any, tmp_path: Path) -> None:
    outcome = nmt(
        *("evaluate", "runs/tiny", "--json", tmp_path / "x.json", "-o", tmp_path / "out.de")
    )
    assert outcome.code == 0
    assert re.fullmatch(
        r"runs/tiny, checkpoint best \(update [1-9]\d*\), on test\.en and test\.de: "
        r"20 sentences, beam search of 5, length penalty average\n",
        outcome.err,
    )
    record = json.loads((tmp_path / "x.json").read_text())
    names = ["bleu", "bleu_lc", "chrf", "ter", "exact_match"]
    assert [score["name"] for score in record["scores"]] == names
    assert record["num_sentences"] == 20
    assert record["scores"][0]["value"] > 90.0
    for score, line in zip(record["scores"], outcome.lines, strict=True):
        assert f"{score['value']:.2f}" in line
        assert score["signature"] in line
    assert len((tmp_path / "out.de").read_text().splitlines()) == 20
    results = json.loads(Path("runs/tiny/results.json").read_text())
    assert str(record["scores"][0]["signature"]) in json.dumps(results)


def test_evaluate_scores_given_files_with_given_metrics(nmt: Any) -> None:
    outcome = nmt(
        *("evaluate", "runs/tiny", "--source", "valid.en", "--reference", "valid.de"),
        *("--metrics", "ter,bleu", "--beam-size", "1", "--checkpoint", "last"),
    )
    assert "checkpoint last (update " in outcome.err
    assert "on valid.en and valid.de: 20 sentences, beam search of 1, " in outcome.err
    assert [line.split()[0] for line in outcome.lines] == ["TER", "BLEU"]


def test_score_prefers_the_right_translation(nmt: Any, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("one two .\none two .\n")
    (tmp_path / "t").write_text("zwei eins .\nneun neun .\n")
    outcome = nmt("score", "runs/tiny", "--source", tmp_path / "s", "--target", tmp_path / "t")
    right, wrong = map(float, outcome.lines)
    assert wrong < right < 0
    num_tokens = 3 + 1 + 3 + 1
    perplexity = math.exp(-(right + wrong) / num_tokens)
    assert f"2 sentences, {num_tokens} tokens" in outcome.err
    assert f"perplexity {perplexity:.3f}" in outcome.err
    total, mean = right + wrong, (right + wrong) / num_tokens
    assert f"log-probability {total:.2f}, {mean:.4f} per token" in outcome.err


def test_align_writes_a_link_for_each_target_word(nmt: Any) -> None:
    outcome = nmt(
        *("align", "runs/tiny", "--source", "test.en", "--target", "test.de"),
        *("--gold", "test.align"),
    )
    targets = Path("test.de").read_text().splitlines()
    for links, target in zip(outcome.lines, targets, strict=True):
        words = sorted(int(link.split("-")[1]) for link in links.split())
        assert words == list(range(len(target.split())))
    assert "alignment error rate " in outcome.err


def test_the_error_rate_of_its_own_alignments_is_zero(nmt: Any, tmp_path: Path) -> None:
    pair = ("--source", "test.en", "--target", "test.de")
    nmt("align", "runs/tiny", *pair, "-o", tmp_path / "own.align")
    outcome = nmt("align", "runs/tiny", *pair, "--gold", tmp_path / "own.align")
    assert "alignment error rate 0.00% (precision 100.00%, recall 100.00%)" in outcome.err


def test_sure_and_possible_links_count_for_recall_and_precision(nmt: Any, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("one two .\n")
    (tmp_path / "t").write_text("zwei eins .\n")
    pair = ("--source", tmp_path / "s", "--target", tmp_path / "t")
    first, second, _ = nmt("align", "runs/tiny", *pair).lines[0].split()
    (tmp_path / "gold").write_text(f"{first} {second.replace('-', 'p')}\n")
    outcome = nmt("align", "runs/tiny", *pair, "--gold", tmp_path / "gold")
    # Three links are found; one is sure, and two are possible: 1 - (1 + 2) / (3 + 1).
    assert outcome.err == "alignment error rate 25.00% (precision 66.67%, recall 100.00%)\n"


def test_align_as_json_and_as_pictures(nmt: Any, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("one two .\nthree .\n")
    (tmp_path / "t").write_text("zwei eins .\ndrei .\n")
    outcome = nmt(
        *("align", "runs/tiny", "--source", tmp_path / "s", "--target", tmp_path / "t"),
        *("--format", "json", "--plot", tmp_path / "plots"),
    )
    first, second = map(json.loads, outcome.lines)
    assert first["source"] == ["one", "two", "."]
    assert first["target"] == ["zwei", "eins", "."]
    assert len(second["weights"]) == 2
    assert all(0 < sum(row) <= 1 + 1e-5 for row in first["weights"])
    assert sorted(os.listdir(tmp_path / "plots")) == ["1.png", "2.png"]
    assert outcome.err == f"2 heat maps written to {tmp_path / 'plots'}\n"


@pytest.mark.parametrize(
    ("num_lines", "problem"),
    [(19, "gold: has 19 lines; "), (21, "gold: has more lines than the 20 pairs; ")],
)
def test_gold_alignments_must_be_as_many_as_the_pairs(
    num_lines: int, problem: str, nmt: Any, tmp_path: Path
) -> None:
    (tmp_path / "gold").write_text("0-0\n" * num_lines)
    outcome = nmt(
        *("align", "runs/tiny", "--source", "test.en", "--target", "test.de"),
        *("--gold", tmp_path / "gold", "-o", tmp_path / "out"),
    )
    outcome.assert_refused(f"{problem}give one for each pair")


def test_check_reports_sizes_and_changes_nothing(nmt: Any, snapshot: Any) -> None:
    before = snapshot(Path.cwd())
    outcome = nmt("check", "tiny.yaml", "data.cache=cache")
    assert outcome.code == 0, outcome.err
    assert "train.en and train.de: 400 of 400 pairs kept" in outcome.err
    told = {line[:16].strip(): line[16:] for line in outcome.lines if not line.startswith("  ")}
    assert told["configuration"] == "tiny.yaml: valid"
    assert told["train"].startswith("400 pairs, ")
    # 10 number words, the full stop, and the four special symbols.
    assert told["source"].startswith("15 entries; 1.00 tokens a word, 0.00% of them unknown")
    parts = [line.split() for line in outcome.lines if line.startswith("  ")]
    total = sum(int(part[-1].replace(",", "")) for part in parts)
    assert told["parameters"] == f"{total:,}"
    assert told["decoder"] == "all words at once"
    assert re.fullmatch(r"about [\d,]+ MiB \(weights .*\)", told["memory"])
    assert re.search(r"target tokens a second, on cpu in float32, [12] threads?$", told["speed"])
    assert re.fullmatch(
        r"about \d+ s an epoch, \d+ s for 16 epochs on this machine, without validations",
        told["time"],
    )
    assert snapshot(Path.cwd()) == before


def test_overrides_are_laid_over_the_file(nmt: Any) -> None:
    # An LSTM cell has four times what its plain cell has, a GRU cell three times.
    gates = {}
    for cell in ("gru", "lstm"):
        lines = nmt("check", "tiny.yaml", f"model.encoder.cell={cell}").lines
        (encoder,) = [line.split()[1] for line in lines if line.startswith("  encoder")]
        gates[cell] = int(encoder.replace(",", ""))
    slow = nmt("check", "tiny.yaml", "model.attention.score=cosine").lines
    assert "decoder         word by word: the score CosineScore" in slow
    assert gates["lstm"] * 3 == gates["gru"] * 4


def test_the_checkpoint_can_be_chosen(nmt: Any) -> None:
    outcome = nmt("translate", "runs/tiny", "--checkpoint", "last", stdin=SENTENCES.encode())
    assert outcome.lines == RIGHT


def test_resume_does_not_change_a_finished_run(nmt: Any, in_copy: Path) -> None:
    weights = sorted(Path("runs/tiny/checkpoints/best").glob("*.safetensors"))
    before = [path.read_bytes() for path in weights]
    assert nmt("train", "tiny.yaml", "--resume").code == 0
    assert before
    assert [path.read_bytes() for path in weights] == before


def test_overwrite_starts_again(nmt: Any, in_copy: Path) -> None:
    outcome = nmt("train", "tiny.yaml", "--overwrite", "training.max_epochs=1")
    assert outcome.code == 0, outcome.err
    assert "max_epochs: 1" in Path("runs/tiny/config.yaml").read_text()
    assert not [name for name in os.listdir("runs") if name.startswith(".")]


def test_a_run_can_be_moved_and_its_corpora_deleted(nmt: Any, in_copy: Path) -> None:
    Path("runs/tiny").rename("shipped")
    for path in in_copy.glob("*.??"):
        path.unlink()
    assert nmt("translate", "shipped", stdin=SENTENCES.encode()).lines == RIGHT


def test_from_another_process_through_a_pipe(in_trained: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "nmt", "translate", "runs/tiny"],
        input=SENTENCES.encode(),
        capture_output=True,
        check=True,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"},
    )
    assert process.stdout.decode("utf-8").splitlines() == RIGHT
    assert process.stderr == b""


def test_from_python(in_trained: Path) -> None:
    from nmt import Translator

    translator = Translator.from_run("runs/tiny", device="cpu", precision="float32")
    assert [t.text for t in translator.translate(SENTENCES.splitlines())] == RIGHT


def test_from_python_with_other_options(in_trained: Path) -> None:
    from nmt import DecodingConfig, Translator
    from nmt.core.errors import ConfigError

    for decoding in ({"n_best": 3}, DecodingConfig(n_best=3)):
        translator = Translator.from_run("runs/tiny", device="cpu", decoding=decoding)
        (translation,) = translator.translate(["one two ."])
        assert len(translation.texts) == 3
    for decoding, message in (
        ({"beam_size": 0}, r"^options: decoding\.beam_size: must be at least 1, not 0$"),
        ({"beamsize": 3}, r"unknown option 'beamsize' \(did you mean 'beam_size'\?\)"),
    ):
        with pytest.raises(ConfigError, match=message):
            Translator.from_run("runs/tiny", decoding=decoding)

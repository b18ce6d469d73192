"""The exercises of the tour: right solutions pass, and wrong ones are named."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "docs/exercises"
PROGRAM: Any = SimpleNamespace(**runpy.run_path(str(FOLDER / "check.py")))

RIGHT = {
    "dot_score": "return queries @ keys.T",
    "mask": """
        least = np.finfo(scores.dtype).min
        scores = np.where(mask, scores, least)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask
        total = powers.sum(axis=1, keepdims=True)
        return np.divide(powers, total, out=np.zeros_like(powers), where=total > 0)""",
    "local_window": """
        center = np.minimum(np.arange(num_steps), num_tokens - 1)
        return np.abs(np.arange(num_tokens) - center[:, None]) <= window""",
    "greedy_search": """
        tokens = [bos]
        while len(tokens) <= max_length:
            log_probabilities, state = step(tokens[-1], state)
            tokens.append(int(log_probabilities.argmax()))
            if tokens[-1] == eos:
                return tokens[1:-1]
        return tokens[1:]""",
    "pharaoh_links": """
        best = weights.argmax(axis=1)
        links = sorted((s, t) for t, s in enumerate(best) if weights[t, s] > 0)
        return " ".join(f"{s}-{t}" for s, t in links)""",
}
# For each exercise two wrong solutions, and what the check says about them in its first and last
# lines.
WRONG = {
    "dot_score": [
        (
            "return keys @ queries.T",
            "query [1 2], keys [3 4], [0 -1], [2 -1]: shape (3, 1), expected (1, 3)",
            "hint: row t has the scores",
        ),
        (
            "return queries @ keys.T / np.sqrt(queries.shape[1])",
            "query [1 2], keys [3 4], [0 -1], [2 -1]:",
            "hint: row t has the scores of query t, column s those of key s; multiply, add, and no",
        ),
    ],
    "mask": [
        (
            "p = np.exp(scores - scores.max(axis=1, keepdims=True)); "
            "return p / p.sum(axis=1, keepdims=True)",
            "scores [0 0 5], the last is padding:",
            "hint: a large score of padding must not take weight from the others",
        ),
        (
            "p = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask; "
            "return p / np.maximum(p.sum(axis=1, keepdims=True), 1e-30)",
            "scores [-2000 0], the second is padding:",
            "hint: the largest score is that of padding; look for the largest one of the real",
        ),
    ],
    "local_window": [
        (
            "return np.abs(np.arange(num_tokens) - np.arange(num_steps)[:, None]) <= window",
            "T = 4, S = 2, D = 0:",
            "hint: after the last token, p stays at the last token",
        ),
        (
            RIGHT["local_window"].replace("<=", "<"),
            "T = 1, S = 3, D = 0:",
            "hint: the window has the positions from p - D to p + D, both included",
        ),
    ],
    "greedy_search": [
        (
            RIGHT["greedy_search"].replace("tokens[1:-1]", "tokens[1:]"),
            "a countdown from 3, at most 10 tokens: shape (4,), expected (3,)",
            "hint: the first step is given bos; eos ends the translation",
        ),
        (
            RIGHT["greedy_search"].replace("step(tokens[-1]", "step(bos"),
            "the step after token 4 was given token 0",
            "",
        ),
    ],
    "pharaoh_links": [
        (
            RIGHT["pharaoh_links"].replace('{s}-{t}" for', '{t}-{s}" for'),
            "a jump:",
            "hint: a link is source-target: the column first, then the row",
        ),
        (
            'links = sorted(f"{s}-{t}" for t, s in enumerate(weights.argmax(axis=1)) '
            'if weights[t, s] > 0); return " ".join(links)',
            "eleven columns:",
            "hint: sort numbers, not texts: as a text, 10 comes before 2",
        ),
    ],
}
# Mistakes of the program, and what the check says about them.
BROKEN = {
    "return": ("dot_score", "queries @ keys.T", "[2 -1]: the function returned None; is a return"),
    "name": ("dot_score", "return querys", "dot_score.py, line 19: NameError: name 'querys'"),
    "syntax": ("dot_score", "return (", "dot_score.py, line 19: SyntaxError: '(' was never closed"),
    "numbers": ("dot_score", 'return "eleven"', "gives 'eleven', which is no array of numbers"),
    "lists": ("dot_score", "return [[1], [2, 3]]", "which is no array of numbers"),
    "endless": (
        "greedy_search",
        "while True: _, state = step(0 if isinstance(state[1], int) else 1, state)",
        "the step after token 4 was given token 0",
    ),
    "too long": (
        "greedy_search",
        "token = bos\nwhile True:\n    scores, state = step(token, state)\n"
        "    token = int(scores.argmax())\n    state = (token, 5)",
        "the search asks for more steps than max_length = 10",
    ),
    "state": (
        "greedy_search",
        "step(bos, None)",
        "pass on the state that the step before returned",
    ),
}


def check(name: str | None, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "check.py"), *([] if name is None else [name])]
    command += [] if path is None else ["--file", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answer(name: str, path: Path) -> str:
    """Return what the check says, in this process."""
    try:
        return str(PROGRAM.check(name, path))
    except PROGRAM.Mistake as mistake:
        return f"wrong: {mistake}"


def write_solution(name: str, body: str, folder: Path) -> Path:
    stub = '    raise NotImplementedError("write this function")\n'
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.endswith(stub)
    lines = [line.removeprefix("        ") for line in body.strip("\n").splitlines()]
    path = folder / f"{name}.py"
    path.write_text(text.removesuffix(stub) + "".join(f"    {line}\n" for line in lines))
    return path


def test_every_exercise_is_here() -> None:
    names = {path.stem for path in FOLDER.glob("*.py")} - {"check"}
    assert names == RIGHT.keys() == WRONG.keys()
    assert all(len(wrong) == 2 for wrong in WRONG.values())


def test_unwritten_exercises_are_named() -> None:
    for name in (None, "mask"):
        ended = check(name)
        assert (ended.returncode, ended.stderr) == (1, "")
        names = RIGHT if name is None else [name]
        assert ended.stdout == "".join(f"{one}: not written yet\n" for one in names)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_solution_passes(name: str, tmp_path: Path) -> None:
    assert answer(name, write_solution(name, RIGHT[name], tmp_path)) == "right"


@pytest.mark.parametrize(
    ("name", "body", "starts", "ends"),
    [(name, *mistake) for name, wrong in WRONG.items() for mistake in wrong],
)
def test_a_wrong_solution_gets_a_hint(
    name: str, body: str, starts: str, ends: str, tmp_path: Path
) -> None:
    lines = answer(name, write_solution(name, body, tmp_path)).splitlines()
    assert lines[0].startswith(f"wrong: {starts}")
    assert lines[-1].startswith(ends)


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_broken_program_is_named_with_its_line(mistake: str, tmp_path: Path) -> None:
    name, body, says = BROKEN[mistake]
    assert says in answer(name, write_solution(name, body, tmp_path))


def test_a_file_without_the_function_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.py"
    assert answer("mask", path) == f"wrong: {path}: no such file of Python"
    path.write_text("")
    assert answer("mask", path) == (
        "wrong: AttributeError: module 'mask' has no attribute 'masked_softmax'"
    )


def test_a_solution_is_checked_from_the_command_line(tmp_path: Path) -> None:
    ended = check("mask", write_solution("mask", RIGHT["mask"], tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "mask: right\n", "")

"""The exercises of the tour: right solutions pass, and wrong ones are named."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs/exercises"

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
# For each exercise two wrong solutions, and what the check says about them.
WRONG = {
    "dot_score": [
        ("return keys @ queries.T", "shape (3, 1), expected (1, 3)"),
        ("return queries @ keys.T / np.sqrt(queries.shape[1])", "query [1 2], keys [3 4]"),
    ],
    "mask": [
        (
            "p = np.exp(scores - scores.max(axis=1, keepdims=True)); "
            "return p / p.sum(axis=1, keepdims=True)",
            "the last is padding",
        ),
        (
            "p = np.exp(scores - scores.max(axis=1, keepdims=True)) * mask; "
            "return p / np.maximum(p.sum(axis=1, keepdims=True), 1e-30)",
            "scores [-2000 0], the second is padding",
        ),
    ],
    "local_window": [
        (
            "return np.abs(np.arange(num_tokens) - np.arange(num_steps)[:, None]) <= window",
            "T = 4, S = 2, D = 0",
        ),
        (RIGHT["local_window"].replace("<=", "<"), "T = 1, S = 3, D = 0"),
    ],
    "greedy_search": [
        (RIGHT["greedy_search"].replace("tokens[1:-1]", "tokens[1:]"), "countdown from 3"),
        (RIGHT["greedy_search"].replace("step(tokens[-1]", "step(bos"), "got token 0 after"),
    ],
    "pharaoh_links": [
        (RIGHT["pharaoh_links"].replace('{s}-{t}" for', '{t}-{s}" for'), "a jump"),
        (
            'links = sorted(f"{s}-{t}" for t, s in enumerate(weights.argmax(axis=1)) '
            'if weights[t, s] > 0); return " ".join(links)',
            "eleven columns",
        ),
    ],
}


def check(name: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "check.py"), name]
    command += [] if path is None else ["--file", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


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


@pytest.mark.parametrize("name", RIGHT)
def test_an_unwritten_exercise_is_named(name: str) -> None:
    ended = check(name)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert ended.stdout == f"{name}: wrong: the function is not written yet\n"


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_solution_passes(name: str, tmp_path: Path) -> None:
    ended = check(name, write_solution(name, RIGHT[name], tmp_path))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{name}: right\n", "")


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [(name, body, says) for name, wrong in WRONG.items() for body, says in wrong],
)
def test_a_wrong_solution_fails(name: str, body: str, says: str, tmp_path: Path) -> None:
    ended = check(name, write_solution(name, body, tmp_path))
    assert ended.returncode == 1
    assert ended.stdout.startswith(f"{name}: wrong: ")
    assert says in ended.stdout

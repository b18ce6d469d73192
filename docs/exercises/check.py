"""Check an exercise of the tour: say whether it is right, and if not, what is wrong.

python docs/exercises/check.py dot_score
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

# A case: what is given in words, the expected value, and the value of the exercise.
Case = tuple[str, Any, Any]


def check_dot_score(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the dot score."""
    queries, keys = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [0.0, -1.0], [2.0, -1.0]])
    yield (
        "query [1 2], keys [3 4], [0 -1], [2 -1]",
        [[11, -2, 0]],
        exercise.dot_scores(queries, keys),
    )
    random = np.random.default_rng(1)
    queries, keys = random.normal(size=(2, 3)), random.normal(size=(4, 3))
    expected = [
        [sum(q * k for q, k in zip(one, key, strict=True)) for key in keys] for one in queries
    ]
    yield "2 queries and 4 keys of size 3", expected, exercise.dot_scores(queries, keys)


def check_mask(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the softmax with a mask."""
    cases = [
        ("scores [0 0 5], the last is padding", [[0.0, 0, 5]], [1, 1, 0], [[0.5, 0.5, 0]]),
        ("scores [0 log 3], all real", [[0.0, np.log(3)]], [1, 1], [[0.25, 0.75]]),
        ("scores [1000 1000 0]", [[1000.0, 1000, 0]], [1, 1, 1], [[0.5, 0.5, 0]]),
        ("scores [-2000 0], the second is padding", [[-2000.0, 0]], [1, 0], [[1, 0]]),
        ("two rows", [[0.0, 0], [9, 9]], [1, 1], [[0.5, 0.5], [0.5, 0.5]]),
        ("no real token", [[1.0, 2]], [0, 0], [[0, 0]]),
    ]
    for given, scores, mask, expected in cases:
        found = exercise.masked_softmax(np.array(scores), np.array(mask, bool))
        yield given, expected, found


def check_local_window(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the local window."""
    cases = {
        (1, 3, 0): [[1, 0, 0]],
        (3, 3, 1): [[1, 1, 0], [1, 1, 1], [0, 1, 1]],
        (4, 2, 0): [[1, 0], [0, 1], [0, 1], [0, 1]],
        (2, 4, 5): [[1, 1, 1, 1], [1, 1, 1, 1]],
    }
    for (steps, tokens, window), expected in cases.items():
        found = exercise.local_window(steps, tokens, window)
        yield f"T = {steps}, S = {tokens}, D = {window}", np.array(expected, bool), found


def check_greedy_search(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for greedy search: a model that counts down from its state."""
    bos, eos, size = 0, 1, 9

    def step(token: int, state: object) -> tuple[Any, object]:
        previous, left = state if isinstance(state, tuple) else (bos, 0)
        assert token == previous, f"the model got token {token} after it gave {previous}"
        following = eos if left == 0 else 1 + left
        log_probabilities = np.full(size, -9.0)
        log_probabilities[following] = -0.1
        return log_probabilities, (following, left - 1)

    for start, most, expected in [(3, 10, [4, 3, 2]), (0, 10, []), (5, 2, [6, 5])]:
        found = exercise.greedy_search(step, (bos, start), bos=bos, eos=eos, max_length=most)
        yield f"a countdown from {start}, at most {most} tokens", expected, found


def check_pharaoh_links(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the links of a heat map."""
    cases = [
        ("a diagonal", [[0.9, 0.1], [0.2, 0.8]], "0-0 1-1"),
        ("a jump", [[0.9, 0.1, 0], [0, 0.1, 0.9], [0, 0.8, 0.2]], "0-0 1-2 2-1"),
        ("a tie", [[0.5, 0.5]], "0-0"),
        ("a row of zeros", [[0.0, 0], [0, 1]], "1-1"),
        ("two targets of one source word", [[0.0, 1], [0, 1], [1, 0]], "0-2 1-0 1-1"),
        ("eleven columns", [[0.0] * 10 + [1], [0, 0, 1] + [0] * 8], "2-1 10-0"),
    ]
    for given, weights, expected in cases:
        yield given, expected, exercise.pharaoh_links(np.array(weights))


CHECKS: dict[str, Callable[[ModuleType], Iterator[Case]]] = {
    "dot_score": check_dot_score,
    "mask": check_mask,
    "local_window": check_local_window,
    "greedy_search": check_greedy_search,
    "pharaoh_links": check_pharaoh_links,
}


def load(path: Path) -> ModuleType:
    """Run the file of an exercise, and return it as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def find_mistake(check: Callable[[ModuleType], Iterator[Case]], exercise: ModuleType) -> str | None:
    """Return the first mistake of an exercise in words; None: it is right."""
    cases = check(exercise)
    while True:
        try:
            given, expected, found = next(cases)
        except StopIteration:
            return None
        except NotImplementedError:
            return "the function is not written yet"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if isinstance(expected, str) or isinstance(found, str):
            is_right = expected == found
        elif np.shape(found) != np.shape(expected):
            return f"{given}: shape {np.shape(found)}, expected {np.shape(expected)}"
        else:
            is_right = np.allclose(np.asarray(found, float), np.asarray(expected, float))
        if not is_right:
            return f"{given}:\ngives\n{found}\nexpected\n{np.array(expected)}"


def main() -> int:
    """Print whether the exercise is right."""
    parser = argparse.ArgumentParser(description="Check an exercise of the tour.")
    parser.add_argument("name", choices=CHECKS, help="name of the exercise")
    parser.add_argument("--file", type=Path, help="its file (default: the one next to this script)")
    arguments = parser.parse_args()
    path = arguments.file or Path(__file__).with_name(f"{arguments.name}.py")
    mistake = find_mistake(CHECKS[arguments.name], load(path))
    print(f"{arguments.name}: {'right' if mistake is None else f'wrong: {mistake}'}")
    return 0 if mistake is None else 1


if __name__ == "__main__":
    sys.exit(main())

"""Check the exercises of the tour: say which are right, and what is wrong with the others.

python docs/exercises/check.py dot_score
"""

import argparse
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """What an exercise is asked, the right answer, its answer, and what to think about."""

    given: str
    expected: Any
    found: Any
    hint: str


def check_dot_score(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the dot score."""
    queries, keys = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [0.0, -1.0], [2.0, -1.0]])
    hint = "row t has the scores of query t, column s those of key s; multiply, add, and no more"
    yield Case(
        "query [1 2], keys [3 4], [0 -1], [2 -1]",
        [[11, -2, 0]],
        exercise.dot_scores(queries, keys),
        hint,
    )
    random = np.random.default_rng(1)
    queries, keys = random.normal(size=(2, 3)), random.normal(size=(4, 3))
    expected = [
        [sum(q * k for q, k in zip(one, key, strict=True)) for key in keys] for one in queries
    ]
    found = exercise.dot_scores(queries, keys)
    yield Case("2 queries and 4 keys of size 3", expected, found, hint)


def check_mask(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the softmax with a mask."""
    softmax = "divide the exponentials of a row by their sum"
    cases = [
        (
            "scores [0 0 5], the last is padding",
            ([[0.0, 0, 5]], [1, 1, 0], [[0.5, 0.5, 0]]),
            "a large score of padding must not take weight from the others",
        ),
        ("scores [0 log 3], all real", ([[0.0, np.log(3)]], [1, 1], [[0.25, 0.75]]), softmax),
        (
            "scores [1000 1000 0]",
            ([[1000.0, 1000, 0]], [1, 1, 1], [[0.5, 0.5, 0]]),
            "exp(1000) is too large; subtract the largest score of the row first",
        ),
        (
            "scores [-2000 0], the second is padding",
            ([[-2000.0, 0]], [1, 0], [[1, 0]]),
            "the largest score is that of padding; look for the largest one of the real tokens",
        ),
        ("two rows", ([[0.0, 0], [9, 9]], [1, 1], [[0.5, 0.5], [0.5, 0.5]]), softmax),
        (
            "no real token",
            ([[1.0, 2]], [0, 0], [[0, 0]]),
            "the sum is 0 here, and 0 / 0 is NaN; such a row has only zeros",
        ),
    ]
    for given, (scores, mask, expected), hint in cases:
        found = exercise.masked_softmax(np.array(scores), np.array(mask, bool))
        yield Case(given, expected, found, hint)


def check_local_window(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the local window."""
    width = "the window has the positions from p - D to p + D, both included"
    last = "after the last token, p stays at the last token: p = min(t, S - 1)"
    cases = {
        (1, 3, 0): ([[1, 0, 0]], width),
        (3, 3, 1): ([[1, 1, 0], [1, 1, 1], [0, 1, 1]], width),
        (4, 2, 0): ([[1, 0], [0, 1], [0, 1], [0, 1]], last),
        (2, 4, 5): ([[1, 1, 1, 1], [1, 1, 1, 1]], width),
    }
    for (steps, tokens, window), (expected, hint) in cases.items():
        found = exercise.local_window(steps, tokens, window)
        given = f"T = {steps}, S = {tokens}, D = {window}"
        yield Case(given, np.array(expected, bool), found, hint)


def check_greedy_search(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for greedy search: a model that counts down from its state."""
    bos, eos, size = 0, 1, 9

    def find(start: int, most: int) -> list[int]:
        steps = iter(range(most + 1))  # one more, in which a search may see the end

        def step(token: int, state: object) -> tuple[Any, object]:
            if next(steps, None) is None:
                raise Mistake(f"the search asks for more steps than max_length = {most}")
            if not isinstance(state, tuple):
                raise Mistake("pass on the state that the step before returned")
            previous, left = state
            if token != previous:
                raise Mistake(f"the step after token {previous} was given token {token}")
            following = eos if left == 0 else 1 + left
            log_probabilities = np.full(size, -9.0)
            log_probabilities[following] = -0.1
            return log_probabilities, (following, left - 1)

        found: list[int] = exercise.greedy_search(
            step, (bos, start), bos=bos, eos=eos, max_length=most
        )
        return found

    end = "the first step is given bos; eos ends the translation, and is not returned"
    long = "without eos, the search stops when there are max_length tokens"
    for start, most, expected, hint in [
        (3, 10, [4, 3, 2], end),
        (0, 10, [], end),
        (5, 2, [6, 5], long),
    ]:
        given = f"a countdown from {start}, at most {most} tokens"
        yield Case(given, expected, find(start, most), hint)


def check_pharaoh_links(exercise: ModuleType) -> Iterator[Case]:
    """Yield cases for the links of a heat map."""
    source_first = "a link is source-target: the column first, then the row"
    cases = [
        ("a diagonal", [[0.9, 0.1], [0.2, 0.8]], "0-0 1-1", source_first),
        ("a jump", [[0.1, 0.9, 0], [0, 0.1, 0.9], [0.8, 0, 0.2]], "0-2 1-0 2-1", source_first),
        ("a tie", [[0.5, 0.5]], "0-0", "of two equal weights, the first one counts"),
        ("a row of zeros", [[0.0, 0], [0, 1]], "1-1", "a row of zeros has no link"),
        (
            "two targets of one source word",
            [[0.0, 1], [0, 1], [1, 0]],
            "0-2 1-0 1-1",
            "sort by the source word, then by the target word",
        ),
        (
            "eleven columns",
            [[0.0] * 10 + [1], [0, 0, 1] + [0] * 8],
            "2-1 10-0",
            "sort numbers, not texts: as a text, 10 comes before 2",
        ),
    ]
    for given, weights, expected, hint in cases:
        yield Case(given, expected, exercise.pharaoh_links(np.array(weights)), hint)


CHECKS: dict[str, Callable[[ModuleType], Iterator[Case]]] = {
    "dot_score": check_dot_score,
    "mask": check_mask,
    "local_window": check_local_window,
    "greedy_search": check_greedy_search,
    "pharaoh_links": check_pharaoh_links,
}


class Mistake(Exception):
    """A mistake of an exercise."""


def load(path: Path) -> ModuleType:
    """Run the file of an exercise, and return it as a module.

    Raises:
        Mistake: the file cannot be read or run.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise Mistake(f"{path}: no such file of Python")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise Mistake(describe(error, path)) from None
    return module


def describe(error: Exception, path: Path) -> str:
    """Return an error with its line in the file of the exercise."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == str(path)
    ]
    line = error.lineno if isinstance(error, SyntaxError) else (lines or [None])[-1]
    place = "" if line is None else f"{path.name}, line {line}: "
    return f"{place}{type(error).__name__}: {error}"


def require_right(case: Case) -> None:
    """Raise a mistake if the answer to a case is not right."""
    if case.found is None:
        raise Mistake(f"{case.given}: the function returned None; is a return missing?")
    if isinstance(case.expected, str):
        is_right = case.expected == case.found
    else:
        try:
            found = np.asarray(case.found, float)
        except (TypeError, ValueError):
            raise Mistake(
                f"{case.given}: gives {case.found!r}, which is no array of numbers"
            ) from None
        expected = np.asarray(case.expected, float)
        if found.shape != expected.shape:
            raise Mistake(
                f"{case.given}: shape {found.shape}, expected {expected.shape}\nhint: {case.hint}"
            )
        is_right = np.allclose(found, expected)
    if not is_right:
        right = np.array(case.expected)
        raise Mistake(f"{case.given}:\ngives\n{case.found}\nexpected\n{right}\nhint: {case.hint}")


def check(name: str, path: Path) -> str:
    """Return what to say about an exercise.

    Raises:
        Mistake: it is not right.
    """
    exercise = load(path)
    try:
        for case in CHECKS[name](exercise):
            require_right(case)
    except Mistake:
        raise
    except NotImplementedError:
        return "not written yet"
    except Exception as error:
        raise Mistake(describe(error, path)) from None
    return "right"


def main() -> int:
    """Print whether the exercises are right."""
    parser = argparse.ArgumentParser(description="Check the exercises of the tour.")
    parser.add_argument("name", nargs="?", choices=CHECKS, help="one exercise (default: all)")
    parser.add_argument("--file", type=Path, help="its file (default: the one next to this script)")
    arguments = parser.parse_args()
    if arguments.file is not None and arguments.name is None:
        parser.error("--file: needs the name of its exercise; add it")
    answers = []
    for name in [arguments.name] if arguments.name else CHECKS:
        path = (arguments.file or Path(__file__).with_name(f"{name}.py")).resolve()
        try:
            answers.append(check(name, path))
        except Mistake as mistake:
            answers.append(f"wrong: {mistake}")
        print(f"{name}: {answers[-1]}")
    return 0 if all(answer == "right" for answer in answers) else 1


if __name__ == "__main__":
    sys.exit(main())

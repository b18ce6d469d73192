"""The arguments of `nmt trace`, and what it refuses before a model is loaded."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from nmt.cli import trace
from nmt.cli.arguments import add_arguments
from nmt.cli.main import _Parser
from nmt.core.errors import UserError


def parse(*words: str) -> trace.Arguments:
    parser = _Parser()
    add_arguments(parser, trace.Arguments)
    given, unknown = parser.parse_known_intermixed_args(list(words))
    assert not unknown
    return trace.Arguments(**vars(given))


@pytest.mark.parametrize(
    "sentence",
    [
        "Tom chases Jerry.",
        "it's $HOME `date` $(date) \\ !1 *",
        'a "quoted" word',
        "two\nlines\tand a tab",
        "-1 is a number",
        "-x",
        "--html=page.html",
    ],
)
def test_a_forced_prefix_is_a_command_for_a_shell(sentence: str) -> None:
    arguments = trace.Arguments(
        run="my runs/toy", sentence=sentence, beam_size=3, shortlist=True, options=["max_length=9"]
    )
    prefix = "-l'eau;\nrm *"
    command = trace._command(arguments, sentence, prefix)
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True
    )
    words = shown.stdout.decode().split("\0")[:-1]
    assert words[:2] == ["nmt", "trace"]
    again = parse(*words[2:])
    assert (again.run, again.sentence, again.prefix) == ("my runs/toy", sentence, prefix)
    assert (again.beam_size, again.shortlist, again.options) == (3, True, ["max_length=9"])
    assert again.html is again.json is None


def test_a_typed_sentence_is_repeated_as_text() -> None:
    arguments = trace.Arguments(run="runs/toy", sentence="-", html=Path("page.html"))
    assert trace._command(arguments, "Tom runs.", "Tom") == (
        "nmt trace runs/toy --prefix=Tom 'Tom runs.'"
    )


@pytest.mark.parametrize("sentence", ["", " \t"])
def test_a_blank_sentence_is_refused(sentence: str) -> None:
    with pytest.raises(UserError, match=r"^SENTENCE: is blank; give a text of at least one word$"):
        trace._read_sentence(sentence)


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"prefix": "ein"}, "--prefix"),
        ({"checkpoint": "last"}, "--checkpoint"),
        ({"options": ["max_length=3"]}, "--set"),
        ({"search": "greedy"}, "--search"),
    ],
)
def test_an_exported_model_supports_few_arguments(
    tmp_path: Path, given: dict[str, Any], flag: str
) -> None:
    exported = tmp_path / "toy.onnx"
    exported.touch()
    message = f"^{flag}: not supported by an exported model; leave it out, or trace the run$"
    with pytest.raises(UserError, match=message):
        trace.run(trace.Arguments(run=str(exported), sentence="a", **given))

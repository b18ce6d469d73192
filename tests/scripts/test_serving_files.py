"""The container and the unit name files, options and modules that exist."""

import configparser
import json
import re
import shlex
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from nmt.cli import serve
from nmt.cli.arguments import add_arguments
from nmt.cli.main import _Parser

ROOT = Path(__file__).parents[2]


def read_command(words: list[str]) -> serve.Arguments:
    assert Path(words[0]).name == "nmt"
    assert words[1] == "serve"
    parser = _Parser(prog="nmt serve")
    add_arguments(parser, serve.Arguments)
    return serve.Arguments(**vars(parser.parse_intermixed_args(words[2:])))


def test_the_container_copies_what_exists_and_starts_the_server() -> None:
    text = (ROOT / "scripts/Dockerfile").read_text(encoding="utf-8")
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources)
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    arguments = read_command([*json.loads(entry), "/runs/toy"])
    assert (arguments.host, arguments.port, arguments.models) == ("0.0.0.0", 5000, ["/runs/toy"])
    (health,) = re.findall(r"^HEALTHCHECK .* CMD (.*)$", text, re.MULTILINE)
    compile(json.loads(health)[2], "health", "exec")
    (extras,) = re.findall(r"/src\[(.*?)\]", text)
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = \[", declared, re.MULTILINE) for extra in extras.split(","))


def test_the_unit_starts_the_server_and_waits_for_its_end() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((ROOT / "scripts/nmt-serve.service").read_text(encoding="utf-8"))
    arguments = read_command(shlex.split(unit["Service"]["ExecStart"]))
    assert arguments.host == "127.0.0.1"
    assert int(unit["Service"]["TimeoutStopSec"]) > arguments.timeout


def test_the_load_test_measures_a_server(load_script, monkeypatch, tmp_path, capsys) -> None:
    script = load_script("benchmark_server")
    answers = iter([(200, 0.0), (503, 0.01)] * 100_000)
    monkeypatch.setattr(script.Load, "_ask", lambda self, lines: next(answers))
    (tmp_path / "lines").write_text("a\nb\nc\n")
    load = script.Load("http://x/", ["a", "b", "c"], 2)
    assert [load._take() for _ in range(3)] == [["a", "b"], ["c", "a"], ["b", "c"]]
    assert script.Load("http://x/", ["a"], 3)._take() == ["a"] * 3
    assert load.run(2, 0.2) >= 0.2
    assert abs(load.statuses[200] - load.statuses[503]) <= 2
    assert load.num_lines == 2 * load.statuses[200]


def test_a_load_test_without_a_server_ends_in_a_line(
    load_script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_script("benchmark_server")
    (tmp_path / "lines").write_text("a\n")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    monkeypatch.setattr("sys.argv", ["", url, str(tmp_path / "lines"), "--clients", "1"])
    monkeypatch.setattr(
        script.Load, "run", lambda self, *_: self._ask_until(time.monotonic() + 0.1)
    )
    with pytest.raises(SystemExit, match=f"^{url}: translates nothing; start `nmt serve`"):
        script.main()


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.95, 4.0)])
def test_percentiles(load_script, share: float, value: float) -> None:
    script = load_script("benchmark_server")
    assert script.percentile([4.0, 2.0, 1.0, 3.0], share) == value
    assert script.percentile([], share) == 0.0

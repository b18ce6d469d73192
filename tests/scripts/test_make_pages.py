from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script(load_script) -> ModuleType:
    module: ModuleType = load_script("make_pages")
    return module


def test_items_are_spread_from_the_shortest_to_the_longest(script: ModuleType) -> None:
    assert script.pick([5, 1, 9, 3, 7], 3) == [1, 0, 2]
    assert script.pick([2, 1], 5) == [1, 0]
    assert script.pick([4, 4, 4], 2) == [0, 2]


def test_the_commands_write_all_pages(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for suffix, line in (("en", "Tom runs ."), ("de", "Tom rennt ."), ("align", "0-0 1-1 2-2")):
        (data / f"test.{suffix}").write_text(f"{line}\n" * 20)
    (data / "tour.en").write_text("Tom runs .\nTom .\n")
    given: list[list[str]] = []

    def command(arguments: list[str]) -> int:
        given.append(arguments)
        for name in arguments:
            if name.endswith("plots"):
                Path(name).mkdir()
                (Path(name) / "1.png").write_bytes(b"png")
        return 0

    monkeypatch.setattr(script, "nmt", command)
    script.main(["--run", "runs/x", "--data", str(data), "--out", str(tmp_path / "docs")])
    pages = [
        arguments[arguments.index("--html") + 1] for arguments in given if "--html" in arguments
    ]
    names = ["attention.html", "trace-1.html", "trace-2.html"]
    assert pages == [str(tmp_path / "docs/pages" / name) for name in names]
    assert (tmp_path / "docs/images/tour-attention.png").read_bytes() == b"png"


def test_a_command_that_fails_ends_the_script(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "nmt", lambda arguments: 2)
    with pytest.raises(SystemExit) as ended:
        script.make_trace_pages(Path("x"), Path(__file__), Path("x"))
    assert ended.value.code == 2

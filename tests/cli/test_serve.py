"""Arguments of `nmt serve` that are refused before a model is loaded."""

from pathlib import Path

import pytest

from nmt.cli.main import main
from nmt.core.errors import UserError


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", "runs/none", *arguments]) == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("--timeout", "0", "must be above 0 seconds, not '0'"),
        ("--host", "", "must be an address, such as 127.0.0.1 or 0.0.0.0"),
        ("--cors", "a.example", "--cors a.example: is not an origin; give one without a path, as"),
        ("--cors", "https://a.example/x", "--cors https://a.example/x: is not an origin;"),
    ],
)
def test_a_bad_value_is_refused(
    capsys: pytest.CaptureFixture[str], argument: str, value: str, message: str
) -> None:
    assert message in refusal(capsys, f"{argument}={value}")


def test_a_key_has_no_blanks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("one\n\ntwo three\n")
    message = f"--api-key-file {file}, line 3: has blanks; write one key per line"
    assert message in refusal(capsys, "--api-key-file", str(file))


def test_memory_is_limited_before_models_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr("nmt.system.process.keep_freed_memory", lambda: calls.append("kept"))
    monkeypatch.setattr("nmt.system.process.limit_kernel_caches", calls.append)

    def open_models(*given: object, **options: object) -> None:
        assert calls == ["kept", (64, 16)]
        raise UserError("opened")

    monkeypatch.setattr("nmt.serving.opening.open_models", open_models)
    assert main(["serve", "runs/x", "--port", "0"]) == 2
    assert calls == ["kept", (64, 16)]

import re
import subprocess
import sys
from pathlib import Path

import pytest

import nmt

HEAVY = {"torch", "numpy", "pydantic", "sentencepiece", "sacrebleu", "matplotlib", "yaml"}
PACKAGE = Path(nmt.__file__).parent


def loaded_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("statement", ["import nmt", "import nmt.cli.main"])
def test_importing_nmt_is_light(statement: str) -> None:
    assert not loaded_by(statement) & HEAVY


def test_translator_is_imported_lazily() -> None:
    from nmt import ExportedTranslator, Translator
    from nmt.export import exported_translator
    from nmt.inference import translator

    assert Translator is translator.Translator
    assert ExportedTranslator is exported_translator.ExportedTranslator


def test_decoding_options_are_available_without_torch() -> None:
    from nmt import DecodingConfig
    from nmt.config import decoding

    assert DecodingConfig is decoding.DecodingConfig
    assert "torch" not in loaded_by("from nmt import DecodingConfig")


def test_pages_and_servers_are_imported_only_where_they_are_made() -> None:
    modules = ["cli.align", "cli.translate", "cli.trace", "cli.serve"]
    modules += ["export.exported_translator", "inference.translator", "training.trainer"]
    loaded = loaded_by("import " + ", ".join(f"nmt.{name}" for name in modules))
    assert not loaded & {"jinja2", "fastapi", "uvicorn", "prometheus_client", "py3langid"}
    assert "jinja2" in loaded_by("import nmt.visualization.page")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'nmt' has no attribute 'Nonsense'"):
        nmt.Nonsense  # noqa: B018


def test_changelog_has_the_version() -> None:
    changelog = (PACKAGE.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(nmt.__version__)}\b", changelog, flags=re.MULTILINE)


def test_module_runs_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nmt", "--version"], capture_output=True, text=True, check=True
    )
    assert nmt.__version__ in done.stdout


def test_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()

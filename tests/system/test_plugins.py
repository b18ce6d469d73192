import os
import pickle
import py_compile
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from nmt.core.errors import ConfigError, UserError
from nmt.system import plugins
from nmt.system.plugins import ImportedFiles, allow, allowed, find, require_allowed, source_of

TEXT = """
from nmt.core.errors import UserError

class Fault(UserError):
    number = 1

class Other:
    pass
"""


class Local(UserError):
    """A class of this module."""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "faults.py"
    path.write_text(TEXT)
    return path


def test_nothing_is_imported_before_it_is_found(file: Path) -> None:
    file.write_text("raise ValueError")
    allow([file])
    assert require_allowed("faults.py:Fault") == str(file)
    assert plugins.sources() == []
    with pytest.raises(ConfigError, match=r"line 1: cannot be imported: ValueError: ; correct"):
        find("faults.py:Fault", UserError)


def test_a_file_is_imported_once_and_hashed_as_it_was_run(file: Path) -> None:
    allow(["faults.py"])
    kind = find("faults.py:Fault", UserError)
    file.write_text("raise ValueError")
    allow([str(file)])
    assert find(f"{file}:Fault", UserError) is kind
    assert find("/elsewhere/faults.py:Fault", UserError) is kind
    source = source_of("faults.py:Fault")
    assert source.content == TEXT.encode()
    assert source.sha256 == sha256(TEXT.encode()).hexdigest()
    assert source.name == "faults.py"
    assert plugins.reference_of(kind) == "faults.py:Fault"


def test_a_compiled_file_is_neither_run_nor_written(file: Path) -> None:
    compiled = py_compile.compile(str(file), doraise=True)
    assert compiled is not None
    times = file.stat()
    file.write_text(TEXT.replace("number = 1", "number = 2"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    allow([file])
    assert vars(find("faults.py:Fault", UserError))["number"] == 2
    other = file.with_name("other.py")
    other.write_text(TEXT)
    allow([other])
    find("other.py:Fault", UserError)
    assert [path.name for path in (file.parent / "__pycache__").iterdir()] == [
        os.path.basename(compiled)
    ]


@pytest.mark.parametrize(
    "name", ["faults.py:Fault", "os.path:join", "os:abc", "builtins:dict", ":", "x:", ":x"]
)
def test_what_was_not_allowed_is_refused(name: str, file: Path) -> None:
    place = name.rpartition(":")[0]
    with pytest.raises(ConfigError, match="is code from outside the package") as caught:
        find(name, object)
    assert str(caught.value).endswith(f"; add --plugin {place} (in Python: plugins=[{place!r}])")


def test_a_module_allows_its_submodules_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(["xml.sax"])
    assert require_allowed("xml.sax:X") == "xml.sax"
    assert require_allowed("xml.sax.handler:X") == "xml.sax.handler"
    for name in ("xml:X", "xml.saxon:X", "xml.dom:X"):
        with pytest.raises(ConfigError, match="must be allowed"):
            require_allowed(name)
    handler = find("xml.sax.handler:ContentHandler", object)
    assert handler.__module__ == "xml.sax.handler"
    assert source_of("xml.sax.handler:ContentHandler").content.startswith(b'"""')


@pytest.mark.parametrize("ending", [".old", ".d/evil.py"])
def test_a_file_allows_no_file_whose_name_it_begins(file: Path, ending: str) -> None:
    other = Path(f"{file}{ending}")
    other.parent.mkdir(exist_ok=True)
    other.write_text("raise AssertionError('imported')")
    allow([file])
    with pytest.raises(ConfigError, match="must be allowed"):
        find(f"{other}:Fault", UserError)


def test_threads_find_the_same_class(file: Path) -> None:
    file.write_text(f"import time\ntime.sleep(0.1)\n{TEXT}")
    allow([file])
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda _: find("faults.py:Fault", UserError), range(4))
    assert set(found) == {find("faults.py:Fault", UserError)}


def test_two_files_of_one_name_do_not_collide(file: Path) -> None:
    other = file.parent / "there" / "faults.py"
    other.parent.mkdir()
    other.write_text(TEXT.replace("number = 1", "number = 2"))
    allow([file, other])
    kinds = [find(f"{path}:Fault", UserError) for path in (file, other)]
    assert [vars(kind)["number"] for kind in kinds] == [1, 2]
    assert len({kind.__module__ for kind in kinds}) == 2
    with pytest.raises(ConfigError, match=r"faults.py or .*faults.py; give one of them with"):
        find("elsewhere/faults.py:Fault", UserError)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Fult", r"unknown class 'Fult' of faults.py \(did you mean 'Fault'\?\); allowed: "),
        ("Other", "'faults.py:Other' is not a complete UserError; extend nmt.core.errors.UserErr"),
        ("__name__", "'faults.py:__name__' is not a complete UserError; extend"),
    ],
)
def test_another_class_is_refused(file: Path, name: str, sentence: str) -> None:
    allow([file])
    with pytest.raises(ConfigError, match=sentence):
        find(f"faults.py:{name}", UserError)


def test_a_class_allows_its_module() -> None:
    allow([Local])
    name = plugins.reference_of(Local)
    assert name == f"{__name__}:Local"
    assert find(name, UserError) is Local
    assert source_of(name).content == Path(__file__).read_bytes()


def test_allowed_files_are_forgotten_and_read_again(file: Path) -> None:
    with allowed(["faults.py"]):
        assert vars(find("faults.py:Fault", UserError))["number"] == 1
    with pytest.raises(ConfigError, match="must be allowed"):
        find("faults.py:Fault", UserError)
    file.write_text(TEXT.replace("number = 1", "number = 2"))
    with allowed(["faults.py"]):
        assert vars(find("faults.py:Fault", UserError))["number"] == 2


def test_a_larger_file_is_refused(file: Path) -> None:
    file.write_text("#" * 1_000_001)
    allow([file])
    with pytest.raises(ConfigError, match="larger than 1,000,000 bytes"):
        find("faults.py:Fault", UserError)


def test_errors_name_the_lines_of_plugins(file: Path) -> None:
    file.write_text(TEXT + "\n    def fail(self):\n        return 1 / 0\n")
    allow([file])
    fault = find("faults.py:Other", object)()
    with pytest.raises(ZeroDivisionError) as caught:
        fault.fail()
    error = RuntimeError("later")
    error.__cause__ = caught.value
    assert plugins.lines_of(error) == [f"faults.py, line {TEXT.count(chr(10)) + 3}"]
    assert plugins.lines_of(ValueError("elsewhere")) == []


def test_a_signal_during_an_import_is_not_an_error_of_the_file(file: Path) -> None:
    file.write_text("raise SystemExit(128 + 15)")
    with pytest.raises(SystemExit, match="143"), allowed(["faults.py"]):
        find("faults.py:Fault", UserError)


def test_a_class_of_a_notebook_has_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    kind = type("Fault", (UserError,), {"__module__": "__main__"})
    vars(sys.modules["__main__"])["Fault"] = kind
    allow([kind])
    assert plugins.reference_of(kind) == "__main__:Fault"
    assert find("__main__:Fault", UserError) is kind
    assert plugins.lines_of(ValueError("elsewhere")) == []


def test_objects_are_pickled_for_another_process(file: Path, tmp_path: Path) -> None:
    file.write_text(TEXT + "print('imported')\n")
    allow([file])
    pickled = pickle.dumps((ImportedFiles(), find("faults.py:Fault", UserError)("text")))
    file.unlink()
    (tmp_path / "pickled").write_bytes(pickled)
    code = "import pickle; _, it = pickle.load(open('pickled', 'rb')); print(it, it.number)"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ended.stdout, ended.stderr) == ("text 1\n", "imported\n")


def test_only_one_place_of_the_package_imports_by_name() -> None:
    """Names of files from elsewhere never reach an import but through `plugins`."""
    package = Path(plugins.__file__).parents[1]
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(
            word in path.read_text()
            for word in ("import_module", "exec(", "spec_from_file_location", "__import__")
        )
    }
    # Those of the package itself: commands, tables, and what `nmt` exports.
    assert importing == {
        "__init__.py",
        "cli/main.py",
        "config/registry.py",
        "system/plugins.py",
    }

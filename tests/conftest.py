"""What holds for every test: one thread a process, the shapes of tensors checked at run time."""

import errno
import importlib.util
import io
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

# Before torch is imported: the tests run side by side, and results must not depend on the machine.
os.environ["OMP_NUM_THREADS"] = "1"

import jaxtyping
import pytest
import torch
from hypothesis import settings

from nmt.system.plugins import allowed

# Where tensors have shapes. Elsewhere mypy is enough (and some types are only there for mypy).
CHECKED = [
    "nmt.nn",
    "nmt.search",
    "nmt.training.objective",
    "nmt.core.batch",
]
jaxtyping.install_import_hook(CHECKED, "beartype.beartype")

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("nmt", deadline=None)
settings.load_profile("nmt")


SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="session")
def load_script() -> Iterator[Callable[[str], ModuleType]]:
    """Scripts are no package: each is loaded by its path, with its neighbours within reach."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"scripts_{name}", SCRIPTS / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        yield load


ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=ON_GPU)])
def place(request: pytest.FixtureRequest) -> torch.device:
    """A device to compute on: the test runs on the CPU, and with the marker gpu on a GPU."""
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def _forget_plugins() -> Iterator[None]:
    """Forget the plug-ins from outside that a test has allowed."""
    with allowed([]):
        yield


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Take SIGINT, which a shell has what it starts in the background ignore, these tests too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes are not looked at, which takes as long as all else: for what is tested elsewhere."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture
def forbid(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Take a permission: `forbid(path)` to read it, `forbid(folder, "write")` to change it.

    The system's calls answer as they would without it, so that the tests hold for root too.
    """

    def take(path: str | os.PathLike[str], what: str = "read") -> None:
        place = os.path.abspath(path)

        def is_at(given: Any) -> bool:
            return isinstance(given, str | os.PathLike) and os.path.abspath(given) == place

        def is_below(given: Any) -> bool:
            known = isinstance(given, str | os.PathLike)
            return known and os.path.abspath(given).startswith(place + os.sep)

        def is_written(given: Any, mode: str = "r", *rest: Any, **others: Any) -> bool:
            return is_below(given) and mode[0] != "r"

        def patch(module: Any, name: str, is_forbidden: Callable[..., object]) -> None:
            real = getattr(module, name)

            def call(given: Any, *arguments: Any, **options: Any) -> Any:
                if is_forbidden(given, *arguments, **options):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(given))
                return real(given, *arguments, **options)

            monkeypatch.setattr(module, name, call)

        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT
        if what == "write":
            patch(io, "open", is_written)
            patch(os, "open", lambda given, flags, *rest: is_below(given) and flags & writing)
            for name in ("mkdir", "rename", "replace", "unlink", "rmdir"):
                patch(os, name, lambda given, *rest, **options: is_below(given))
        else:
            for name in ("stat", "lstat"):
                patch(os, name, lambda given, *rest, **options: is_below(given))
            for module in (io, os):
                patch(
                    module, "open", lambda given, *rest, **options: is_at(given) or is_below(given)
                )
            for name in ("listdir", "scandir"):
                patch(os, name, lambda given=".", *rest: is_at(given) or is_below(given))
        access = os.access
        denied = os.W_OK if what == "write" else os.R_OK | os.X_OK

        def may(given: Any, mode: int, **options: Any) -> bool:
            is_denied = (is_at(given) or is_below(given)) and bool(mode & denied)
            return not is_denied and access(given, mode, **options)

        monkeypatch.setattr(os, "access", may)

    return take

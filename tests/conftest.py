"""What holds for every test: one thread a process, the shapes of tensors checked at run time."""

import os

# Before torch is imported: the tests run side by side, and results must not depend on the machine.
os.environ["OMP_NUM_THREADS"] = "1"

from hypothesis import settings
from jaxtyping import install_import_hook

# Where tensors have shapes. Elsewhere mypy is enough (and some types are only there for mypy).
CHECKED = ["nmt.nn", "nmt.search", "nmt.training.loss", "nmt.structure", "nmt.batch"]
install_import_hook(CHECKED, "beartype.beartype")

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("nmt", deadline=None)
settings.load_profile("nmt")

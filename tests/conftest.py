"""What holds for every test: one thread a process, shapes and types checked at run time."""

import os

# Before torch is imported: the tests run side by side, and results must not depend on the machine.
os.environ["OMP_NUM_THREADS"] = "1"

from jaxtyping import install_import_hook

install_import_hook("nmt", "beartype.beartype")

"""Write pictures of coloured shapes on grids, and their descriptions.

    python scripts/prepare_pictures.py --out data/pictures --train 10000

makes {train,valid,test}.{npz,txt}. The same options always make the same files.
"""

import argparse
import sys
from pathlib import Path

from nmt.core.errors import UserError
from nmt.toy.pictures import write_pictures


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("data/pictures"))
    sizes = {"train": 10_000, "valid": 500, "test": 500}
    for split, size in sizes.items():
        parser.add_argument(f"--{split}", metavar="N", type=int, default=size, help="pictures")
    parser.add_argument("--seed", metavar="N", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        write_pictures(given.out, {split: vars(given)[split] for split in sizes}, seed=given.seed)
    except UserError as error:
        print(f"prepare_pictures: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write the toy corpus: English and German sentences with the alignments of their words.

    python scripts/prepare_toy.py --out data/toy --train 30000 --min-length 3 --max-length 15

makes {train,valid,test}.{en,de,align}. The same options always make the same files.
"""

import argparse
import sys
from pathlib import Path

from nmt.core.errors import UserError
from nmt.toy.corpus import LONGEST, SHORTEST, write_corpus


def main(arguments: list[str] | None = None) -> int:
    """Run with these arguments (default: `sys.argv`) and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("data/toy"))
    for split, size in (("train", 30_000), ("valid", 500), ("test", 500)):
        parser.add_argument(f"--{split}", metavar="N", type=int, default=size, help="pairs")
    parser.add_argument("--seed", metavar="N", type=int, default=1)
    for name, default in (("min", SHORTEST), ("max", 15)):
        parser.add_argument(
            f"--{name}-length",
            metavar="N",
            type=int,
            default=default,
            help=f"of the English sentence in words, {SHORTEST} to {LONGEST} (default: {default})",
        )
    given = parser.parse_args(arguments)
    try:
        write_corpus(
            given.out,
            {"train": given.train, "valid": given.valid, "test": given.test},
            seed=given.seed,
            min_length=given.min_length,
            max_length=given.max_length,
        )
    except UserError as error:
        print(f"prepare_toy: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

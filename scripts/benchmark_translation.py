"""Lines per second of `nmt translate`, compared with a textbook beam search.

    python scripts/benchmark_translation.py RUN INPUT REFERENCE [--rounds 5] [--threads 2]
           [--ways float32 int8] [--shortlist] [--exported FILE ...] [--no-textbook]
           [--pieces 15 [--ctranslate2 [FEED_FORWARD ...]]]

The whole command is timed, from start to end, on the CPU: `nmt translate` with beam 5 and greedy,
in each precision, and the textbook search of `benchmarks/textbook_search.py` with the same weights.

Each round times every way once, so that other load on the machine affects all of them. Medians and
their ratios are printed as a Markdown table, with the BLEU of each output. Compare only values of
the same table. The run's model must be the textbook's: a one-layer GRU, Bahdanau's wiring, the
additive score and softmax. Its length penalty must be the average. Leave the textbook out for
others.

With --pieces N, every translation has exactly N pieces. All ways then do the same number of steps,
even with random weights, and BLEU is left out. Exported files need `nmt export --set min_length=N
--set max_length=N`. Each command is also timed on one line: the difference is the time without
start-up.

--ctranslate2 adds int8 Transformers of CTranslate2 with random weights, 3 + 3 layers of 256, 4
heads and the given feed-forward sizes. Of three batch sizes, the one with the best median is shown.
CTranslate2 makes N decoder steps, the others N + 1, as they score the end of the sentence.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ctranslate2_model import (
    TransformerSizes,
    import_ctranslate2,
    pieces_of,
    save_model,
)
from benchmarks.translation_table import Measured, Way, bleu_table, fastest, pieces_table

from nmt.export.exported_translator import ExportedTranslator
from nmt.runs.run import RunDirectory
from nmt.text.storage import load_tokenizer

BATCHES = (256, 512, 1024)
"""Source pieces of a batch of CTranslate2."""
PROGRAMS = Path(__file__).parent / "benchmarks"


def main(words: list[str] | None = None) -> int:
    """Time all ways and print the table."""
    parser = make_parser()
    arguments = parser.parse_args(words)
    if arguments.pieces is not None and arguments.pieces < 1:
        parser.error("--pieces: must be 1 or more")
    if arguments.ctranslate2 is not None:
        if arguments.pieces is None:
            parser.error("--ctranslate2: needs --pieces, as its weights are random")
        import_ctranslate2()
    if arguments.pieces is not None:
        for path in arguments.exported:
            require_pieces(path, read_lines(arguments.input)[:20], arguments.pieces)
    with tempfile.TemporaryDirectory() as folder:
        ways = list_ways(arguments, Path(folder))
        results = measure(ways, arguments, Path(folder))
    make_table = pieces_table if arguments.pieces is not None else bleu_table
    num_lines = len(read_lines(arguments.input))
    reference = "the first" if arguments.no_textbook else "the textbook"
    print("\n".join(make_table(fastest(ways, results), num_lines, reference)))
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="a trained run: GRU, bahdanau, additive")
    parser.add_argument("input", metavar="INPUT", help="what is translated")
    parser.add_argument("reference", metavar="REFERENCE", help="its translation, for BLEU")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="times each (default 5)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument(
        "--ways", nargs="*", default=["float32"], metavar="P", help="precisions that are timed"
    )
    parser.add_argument(
        "--shortlist", action="store_true", help="time each with a shortlist, too (`nmt lexicon`)"
    )
    parser.add_argument(
        "--exported", nargs="+", default=[], metavar="FILE", help="of `nmt export`, timed as well"
    )
    parser.add_argument("--only", type=int, nargs="+", default=[5, 1], metavar="BEAM_SIZE")
    parser.add_argument("--no-textbook", action="store_true", help="leave out the textbook")
    parser.add_argument("--pieces", type=int, metavar="N", help="exact length of translations")
    parser.add_argument(
        "--ctranslate2",
        type=int,
        nargs="*",
        metavar="FEED_FORWARD",
        help="time Transformers of CTranslate2 (default: 1024, 7.6M parameters with 8,000 pieces)",
    )
    return parser


def list_ways(arguments: argparse.Namespace, folder: Path) -> list[Way]:
    """Return the ways to time; for each beam size the textbook comes first.

    Args:
        arguments: of the command line.
        folder: where the models of CTranslate2 are saved.
    """
    ways = []
    translate = ["-m", "nmt", "translate", "--device", "cpu"]
    pieces = [] if arguments.pieces is None else ["--pieces", str(arguments.pieces)]
    limits = []
    if arguments.pieces is not None:
        for option in ("min_length", "max_length"):
            limits += ["--set", f"{option}={arguments.pieces}"]
    transformers = save_transformers(arguments, folder)
    for beam_size in arguments.only:
        if not arguments.no_textbook:
            command = [str(PROGRAMS / "textbook_search.py"), "--beam-size", str(beam_size)]
            ways.append(Way("textbook, float32", beam_size, [*command, *pieces, arguments.run]))
        search = ["--search", "greedy"] if beam_size == 1 else ["--beam-size", str(beam_size)]
        for precision in arguments.ways:
            command = [*translate, *search, *limits, "--precision", precision]
            ways.append(Way(f"nmt, {precision}", beam_size, [*command, arguments.run]))
            if arguments.shortlist:
                command = [*command, "--shortlist", arguments.run]
                ways.append(Way(f"nmt, {precision}, shortlist", beam_size, command))
        for path in arguments.exported:
            ways.append(Way(f"nmt, {Path(path).name}", beam_size, [*translate, *search, path]))
        for name, model in transformers.items():
            ways += transformer_ways(name, model, beam_size, arguments)
    return ways


def save_transformers(arguments: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Save the models of CTranslate2, print their sizes, and return their names and folders."""
    saved = {}
    given = arguments.ctranslate2
    for feed_forward in [1024] if given == [] else given or []:
        sizes = TransformerSizes(feed_forward)
        source, target = (pieces_of(load_tokenizer(path)) for path in tokenizers(arguments.run))
        model = folder / f"transformer-{feed_forward}"
        num_parameters = save_model(model, sizes, source, target)
        print(f"CTranslate2: {sizes}, {num_parameters:,} parameters\n")
        saved[f"CTranslate2, int8, {num_parameters / 1e6:.1f}M"] = model
    return saved


def transformer_ways(
    name: str, model: Path, beam_size: int, arguments: argparse.Namespace
) -> list[Way]:
    """Return a way for each batch size."""
    ways = []
    for batch in BATCHES:
        options = {"beam-size": beam_size, "pieces": arguments.pieces, "batch-tokens": batch}
        command = [str(PROGRAMS / "ctranslate2_model.py")]
        for option, value in {**options, "threads": arguments.threads}.items():
            command += [f"--{option}", str(value)]
        command += [str(model), *map(str, tokenizers(arguments.run))]
        ways.append(Way(f"{name}, batches of {batch:,} pieces", beam_size, command, name))
    return ways


def tokenizers(run: str) -> tuple[Path, Path]:
    """Return the folders of the tokenizers of source and target."""
    folder = RunDirectory.open(run)
    if folder.shared_tokenizer.is_dir():
        return folder.shared_tokenizer, folder.shared_tokenizer
    return folder.source_tokenizer, folder.target_tokenizer


def require_pieces(path: str, lines: list[str], pieces: int) -> None:
    """Exit with an error unless an exported file translates these lines to so many pieces."""
    translator = ExportedTranslator.open(path, num_threads=1)
    sources = [tokens for line in lines if (tokens := translator.source_reader.encode(line))]
    found = {len(hypotheses[0].tokens) for hypotheses in translator.search(sources)}
    if found - {pieces}:
        lengths = ", ".join(map(str, sorted(found)))
        sys.exit(
            f"{path}: writes translations of {lengths} pieces, not {pieces}; export it with "
            f"--set min_length={pieces} --set max_length={pieces}"
        )


def measure(ways: list[Way], arguments: argparse.Namespace, folder: Path) -> list[Measured]:
    """Return the results of each way.

    Args:
        ways: to time.
        arguments: of the command line.
        folder: for outputs.
    """
    from sacrebleu.metrics.bleu import BLEU

    references, has_pieces = read_lines(arguments.reference), arguments.pieces is not None
    first = next(line for line in read_lines(arguments.input) if line.strip())
    one_line, output = folder / "one-line", folder / "output"
    one_line.write_text(f"{first}\n", encoding="utf-8")
    results = [Measured() for _ in ways]
    for number in range(arguments.rounds):
        for way, result in zip(ways, results, strict=True):
            result.seconds.append(time_command(way, arguments.input, output, arguments.threads))
            shown = f"{result.seconds[-1]:.2f} s"
            if has_pieces:
                seconds = time_command(way, str(one_line), folder / "ignored", arguments.threads)
                result.startup.append(seconds)
                shown += f", {seconds:.2f} s for one line"
            else:
                hypotheses = output.read_text(encoding="utf-8").splitlines()
                result.bleu = BLEU().corpus_score(hypotheses, [references]).score
            print(f"round {number + 1}: {way.name}, {way.beam_size}: {shown}", file=sys.stderr)
    return results


def time_command(way: Way, path: str, output: Path, threads: int) -> float:
    """Return the seconds that a command takes to translate a file."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, *way.command, path]
    with output.open("wb") as stream:
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=stream, env=environment)
        return time.perf_counter() - started


def read_lines(path: str) -> list[str]:
    """Return the lines of a text file."""
    return Path(path).read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    sys.exit(main())

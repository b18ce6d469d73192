"""Lines per second of `nmt translate`, compared with a textbook beam search.

    python scripts/benchmark_translation.py RUN INPUT REFERENCE [--rounds 5] [--threads 2]
           [--ways float32 int8] [--shortlist] [--exported FILE ...]

The whole command is timed, from start to end, on the CPU: `nmt translate` with beam 5 and greedy,
in each precision, and the textbook search below with the same weights. The textbook translates
padded batches of 64 sentences in the order of the file, in float32. At each step it computes
`log_softmax` and `topk` over the whole vocabulary for each hypothesis, until the last sentence of
the batch is done.

Each round times every way once, so that other load on the machine affects all of them. Medians and
their ratios are printed as a Markdown table, with the BLEU of each output. Compare only values of
the same table. The run's model must be the textbook's: a one-layer GRU, Bahdanau's wiring, the
additive score and softmax. Its length penalty must be the average.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATCH = 64


@dataclass(frozen=True)
class Way:
    """One way to translate the file: the command line, without the output."""

    name: str
    beam_size: int
    command: list[str]


def main() -> int:
    """Time all ways and print the table; with --textbook, run only the textbook search."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="a trained run: GRU, bahdanau, additive")
    parser.add_argument("input", metavar="INPUT", help="what is translated")
    parser.add_argument("reference", metavar="REFERENCE", help="its translation, for BLEU")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="times each (default 5)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument(
        "--ways", nargs="+", default=["float32"], metavar="P", help="precisions that are timed"
    )
    parser.add_argument(
        "--shortlist", action="store_true", help="time each with a shortlist, too (`nmt lexicon`)"
    )
    parser.add_argument(
        "--exported", nargs="+", default=[], metavar="FILE", help="of `nmt export`, timed as well"
    )
    parser.add_argument("--only", type=int, nargs="+", default=[5, 1], metavar="BEAM_SIZE")
    parser.add_argument("--textbook", metavar="BEAM_SIZE", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.textbook is not None:
        write_by_the_textbook(arguments.run, arguments.input, arguments.textbook)
        return 0
    ways = list_ways(arguments)
    seconds, bleu = measure(ways, arguments)
    print_table(ways, seconds, bleu, arguments)
    return 0


def list_ways(arguments: argparse.Namespace) -> list[Way]:
    """Return the ways to time; for each beam size the textbook comes first."""
    ways = []
    files = [arguments.run, arguments.input]
    translate = ["-m", "nmt", "translate"]
    for beam_size in arguments.only:
        textbook = [__file__, *files, arguments.reference, "--textbook", str(beam_size)]
        ways.append(Way("textbook, float32", beam_size, textbook))
        search = ["--search", "greedy"] if beam_size == 1 else ["--beam-size", str(beam_size)]
        for precision in arguments.ways:
            command = [*translate, *files, "--device", "cpu", *search]
            command += ["--precision", precision]
            ways.append(Way(f"nmt, {precision}", beam_size, command))
            if arguments.shortlist:
                with_list = [*command, "--shortlist"]
                ways.append(Way(f"nmt, {precision}, shortlist", beam_size, with_list))
        for path in arguments.exported:
            command = [*translate, path, arguments.input, *search]
            ways.append(Way(f"nmt, {Path(path).name}", beam_size, command))
    return ways


def measure(
    ways: list[Way], arguments: argparse.Namespace
) -> tuple[list[list[float]], list[float]]:
    """Return the seconds of each round, and BLEU, for each way."""
    from sacrebleu.metrics.bleu import BLEU

    references = Path(arguments.reference).read_text(encoding="utf-8").splitlines()
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    seconds: list[list[float]] = [[] for _ in ways]
    bleu = [0.0] * len(ways)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        for number in range(arguments.rounds):
            for index, way in enumerate(ways):
                with output.open("wb") as stream:
                    started = time.perf_counter()
                    subprocess.run(
                        [sys.executable, *way.command], check=True, stdout=stream, env=environment
                    )
                    seconds[index].append(time.perf_counter() - started)
                print(
                    f"round {number + 1}: {way.name}, {way.beam_size}: {seconds[index][-1]:.2f} s",
                    file=sys.stderr,
                )
                hypotheses = output.read_text(encoding="utf-8").splitlines()
                bleu[index] = BLEU().corpus_score(hypotheses, [references]).score
    return seconds, bleu


def print_table(
    ways: list[Way],
    seconds: list[list[float]],
    bleu: list[float],
    arguments: argparse.Namespace,
) -> None:
    """Return a row for each way, with the ratio of medians to the textbook of the same beam."""
    num_lines = len(Path(arguments.input).read_text(encoding="utf-8").splitlines())
    print("| beam | what | seconds, median (all) | lines/s | against the textbook | BLEU |")
    print("|---|---|---|---|---|---|")
    textbook = 0.0
    for way, times, score in zip(ways, seconds, bleu, strict=True):
        median = statistics.median(times)
        textbook = median if way.name.startswith("textbook") else textbook
        all_times = ", ".join(f"{value:.1f}" for value in sorted(times))
        print(
            f"| {way.beam_size} | {way.name} | {median:.2f} ({all_times}) "
            f"| {num_lines / median:.0f} | {textbook / median:.2f} | {score:.2f} |"
        )


def write_by_the_textbook(run: str, path: str, beam_size: int) -> None:
    """Translate a file to stdout with the textbook search."""
    import torch

    from nmt import Translator

    translator = Translator.from_run(run, device="cpu", precision="float32")
    require_textbook(translator.runner.model)
    reader, tokenizer = translator.source_reader, translator.target_tokenizer
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    with torch.inference_mode():
        for start in range(0, len(lines), BATCH):
            sources = [reader.encode(line) for line in lines[start : start + BATCH]]
            for tokens in search(translator.runner.model, sources, beam_size):
                print(tokenizer.decode(tokens))


def require_textbook(model: Any) -> None:
    """Exit with an error unless the model is the one that `textbook_step` computes."""
    from nmt.nn.attention.alignments.alignment import SoftmaxAlignment
    from nmt.nn.attention.attention import Attention
    from nmt.nn.attention.scores.additive import AdditiveScore
    from nmt.nn.decoders.bahdanau import BahdanauDecoder
    from nmt.nn.recurrent.gru import GRU

    decoder = model.decoder
    attention = decoder.attention
    parts = [(decoder, BahdanauDecoder), (attention, Attention), (decoder.layers[0], GRU)]
    if all(type(part) is kind for part, kind in parts) and len(decoder.layers) == 1:
        score, alignment = attention.score, attention.alignment
        is_softmax = type(alignment) is SoftmaxAlignment and alignment.temperature == 1.0
        if type(score) is AdditiveScore and score.gain is None and is_softmax:
            return
    sys.exit("the textbook has one layer of GRU, Bahdanau's wiring, additive score and softmax")


def search(model: Any, sources: list[Any], beam_size: int) -> list[list[int]]:
    """Return the best translation of each sentence of a batch, by its mean log-probability."""
    import torch

    from nmt.core.batch import make_source
    from nmt.core.special_tokens import BOS, EOS, PAD

    source, lengths = make_source(sources)
    num = len(sources)
    encoded = model.encode(source, lengths)
    memory = repeat(encoded.states, beam_size)
    keys = repeat(model.decoder.attention.score.key_projection(encoded.states), beam_size)
    mask = repeat(encoded.mask, beam_size)
    hidden = repeat(model.bridge(encoded)[:, 0], beam_size)
    tokens = torch.full((num * beam_size, 1), BOS)
    totals = torch.full((num, beam_size), -torch.inf)
    totals[:, 0] = 0.0  # all hypotheses of a beam are equal at first
    is_done = torch.zeros(num, beam_size, dtype=torch.bool)
    sizes = torch.zeros(num, beam_size)
    longest = 3 * int(lengths.max()) + 10
    while not is_done.all() and tokens.shape[1] <= longest:
        log_probabilities, hidden = textbook_step(model, tokens[:, -1], hidden, memory, keys, mask)
        log_probabilities[:, :3] = -torch.inf  # PAD, UNK, BOS
        log_probabilities = log_probabilities.view(num, beam_size, -1)
        log_probabilities[is_done] = -torch.inf
        log_probabilities[..., PAD][is_done] = 0.0  # finished hypotheses stay unchanged
        summed = (totals.unsqueeze(2) + log_probabilities).flatten(1)
        totals, best = summed.topk(beam_size, dim=1)
        places, words = best // log_probabilities.shape[2], best % log_probabilities.shape[2]
        rows = (torch.arange(num).unsqueeze(1) * beam_size + places).flatten()
        tokens = torch.cat([tokens[rows], words.view(-1, 1)], dim=1)
        hidden = hidden[rows]
        was_done = is_done.gather(1, places)
        sizes = sizes.gather(1, places) + (~was_done).float()
        is_done = was_done | (words == EOS)
    best = (totals / sizes).argmax(dim=1)
    chosen = tokens.view(num, beam_size, -1)[torch.arange(num), best]
    return [[token for token in row if token not in (PAD, BOS, EOS)] for row in chosen.tolist()]


def textbook_step(
    model: Any, words: Any, hidden: Any, memory: Any, keys: Any, mask: Any
) -> tuple[Any, Any]:
    """Return the log-probabilities of the next words and the next state.

    A step runs attention, GRU and deep output.
    """
    import torch

    decoder = model.decoder
    score, cell = decoder.attention.score, decoder.layers[0]
    embedded = model.target_embedding.table(words)
    compared = torch.tanh(score.query_projection(hidden).unsqueeze(1) + keys)
    scores = score.direction(compared).squeeze(2).masked_fill(~mask, -torch.inf)
    context = torch.bmm(torch.softmax(scores, dim=1).unsqueeze(1), memory).squeeze(1)
    of_input = torch.nn.functional.linear(embedded, cell.weight_input, cell.bias_input)
    of_input = of_input + decoder.context_to_gates(context)
    of_hidden = torch.nn.functional.linear(hidden, cell.weight_hidden, cell.bias_hidden)
    reset_x, update_x, new_x = of_input.chunk(3, dim=1)
    reset_h, update_h, new_h = of_hidden.chunk(3, dim=1)
    reset, update = torch.sigmoid(reset_x + reset_h), torch.sigmoid(update_x + update_h)
    hidden = (1 - update) * torch.tanh(new_x + reset * new_h) + update * hidden
    output = decoder.state_to_output(hidden)
    output = output + decoder.word_to_output(embedded) + decoder.context_to_output(context)
    return torch.log_softmax(model.projection(torch.tanh(output)), dim=1), hidden


def repeat(tensor: Any, times: int) -> Any:
    """Repeat every row `times` times, copies side by side."""
    return tensor.repeat_interleave(times, dim=0)


if __name__ == "__main__":
    sys.exit(main())

"""A textbook beam search with the weights of a run, and translation of a file with it.

    python scripts/benchmarks/textbook_search.py RUN INPUT --beam-size 5 [--pieces 15]

It translates padded batches of 64 sentences in the order of the file, in float32. At each step it
computes `log_softmax` and `topk` over the whole vocabulary for each hypothesis, until the last
sentence of the batch is done.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from nmt import Translator
from nmt.core.batch import make_source
from nmt.core.special_tokens import BOS, EOS, PAD
from nmt.nn.attention.alignments.alignment import SoftmaxAlignment
from nmt.nn.attention.attention import Attention
from nmt.nn.attention.scores.additive import AdditiveScore
from nmt.nn.decoders.bahdanau import BahdanauDecoder
from nmt.nn.recurrent.gru import GRU

BATCH = 64


def main() -> int:
    """Translate a file to stdout with the textbook search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("input", metavar="INPUT")
    parser.add_argument("--beam-size", type=int, required=True)
    parser.add_argument("--pieces", type=int, help="exact number of pieces of a translation")
    arguments = parser.parse_args()
    translator = Translator.from_run(arguments.run, device="cpu", precision="float32")
    model = translator.runner.model
    require_textbook(model)
    reader, tokenizer = translator.source_reader, translator.target_tokenizer
    lines = Path(arguments.input).read_text(encoding="utf-8").splitlines()
    with torch.inference_mode():
        for start in range(0, len(lines), BATCH):
            sources = [reader.encode(line) for line in lines[start : start + BATCH]]
            for tokens in search(model, sources, arguments.beam_size, arguments.pieces):
                print(tokenizer.decode(tokens))
    return 0


def require_textbook(model: Any) -> None:
    """Exit with an error unless the model is the one that `textbook_step` computes."""
    decoder = model.decoder
    attention = decoder.attention
    parts = [(decoder, BahdanauDecoder), (attention, Attention), (decoder.layers[0], GRU)]
    if all(type(part) is kind for part, kind in parts) and len(decoder.layers) == 1:
        score, alignment = attention.score, attention.alignment
        is_softmax = type(alignment) is SoftmaxAlignment and alignment.temperature == 1.0
        if type(score) is AdditiveScore and score.gain is None and is_softmax:
            return
    sys.exit("the textbook has one layer of GRU, Bahdanau's wiring, additive score and softmax")


def search(
    model: Any, sources: list[Any], beam_size: int, pieces: int | None = None
) -> list[list[int]]:
    """Return the best translation of each sentence of a batch, by its mean log-probability.

    Args:
        model: of the run.
        sources: tokens of each sentence.
        beam_size: hypotheses of each sentence.
        pieces: exact number of tokens of each translation, without EOS; None: as many as it takes.
    """
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
    longest = 3 * int(lengths.max()) + 10 if pieces is None else pieces + 1
    while not is_done.all() and tokens.shape[1] <= longest:
        log_probabilities, hidden = textbook_step(model, tokens[:, -1], hidden, memory, keys, mask)
        log_probabilities[:, :3] = -torch.inf  # PAD, UNK, BOS
        if pieces is not None and tokens.shape[1] <= pieces:
            log_probabilities[:, EOS] = -torch.inf
        elif pieces is not None:
            log_probabilities[:, EOS + 1 :] = -torch.inf
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

"""Phrases that no translation was found with: they are named, given up, and searched without.

To keep a phrase that cannot be had makes a translation that grows in search of it.
"""

import logging
from collections.abc import Sequence

import torch

from nmt.inference.batch_inference import BatchRunner
from nmt.inference.windows import Window
from nmt.search.constraints import count_unmet
from nmt.search.hypothesis import Hypothesis
from nmt.search.request import Constraints
from nmt.text.tokenizer import Tokenizer, word_edges

logger = logging.getLogger(__name__)


def relax(
    window: Window,
    found: Sequence[Sequence[Hypothesis]],
    tokenizer: Tokenizer,
    runner: BatchRunner,
) -> list[Sequence[Hypothesis]]:
    """Return hypotheses whose best has all phrases that are left, searching again until it does.

    Args:
        window: the lines, with what their translations must have.
        found: the hypotheses of each line.
        tokenizer: of the target.
        runner: the search that has found them.
    """
    constraints, results = list(window.constraints), list(found)
    translated = [index for index, source in enumerate(window.sources) if len(source.ids)]
    while unmet := {
        index: phrases
        for index in translated
        if (phrases := _unmet_phrases(constraints[index], results[index], tokenizer))
    }:
        for index, phrases in unmet.items():
            for phrase in phrases:
                logger.warning(
                    "line %d: no translation was found that has %r with all else that is asked; "
                    "it is translated without",
                    *(window.first_number + index, tokenizer.decode(phrase)),
                )
            old = constraints[index]
            kept = tuple(phrase for phrase in old.phrases if phrase not in phrases)
            constraints[index] = Constraints(old.prefix, kept)
        again = runner.run_search(
            [window.sources[index].ids for index in unmet], [constraints[index] for index in unmet]
        )
        for index, hypotheses in zip(unmet, again, strict=True):
            results[index] = hypotheses
    return results


def _unmet_phrases(
    constraint: Constraints, hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer
) -> list[tuple[int, ...]]:
    """Return the phrases that the best hypothesis lacks."""
    if not constraint.phrases:
        return []
    edges = torch.from_numpy(word_edges(tokenizer))
    tokens = hypotheses[0].tokens
    return [phrase for phrase in constraint.phrases if count_unmet(tokens, [phrase], edges)]

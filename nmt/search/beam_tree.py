"""The beam of a search as a tree: the observer that records it, with a reason for each node."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nmt.core.special_tokens import EOS
from nmt.search.beam import BeamSearch
from nmt.search.constraints import forbid_early_end
from nmt.search.diverse_beam import DiverseBeamSearch
from nmt.search.observer import SearchStep
from nmt.search.rules import Reason
from nmt.search.search import Search, best_in_order

_EXCLUDED: Final = "special symbols"


@dataclass(frozen=True)
class BeamNode:
    """A token that the search has considered after an open hypothesis.

    Its ranking value is `log_probability + penalty`. A finished hypothesis is ranked by `score`:
    the sum of the ranking value, `length_part` and `coverage_part`.

    Attributes:
        id: index of the node in `BeamTree.nodes`.
        parent: id of the last token of the open hypothesis; None: the start of the sentence.
        group: group of a diverse beam; 0 in other searches.
        step: number of tokens before this one.
        token: of the vocabulary.
        token_log_probability: by the model.
        log_probability: of the hypothesis with this token, by the model.
        penalty: what rules and diversity add to it: 0 or less.
        reason: why it has a place in the beam, or has none.
        rule: the class of the rule that forbids the token; empty: no rule does.
        score: of a finished hypothesis.
        length_part: what the length penalty adds to the score of a finished hypothesis.
        coverage_part: what the coverage penalty adds to it.
    """

    id: int
    parent: int | None
    group: int
    step: int
    token: int
    token_log_probability: float
    log_probability: float
    penalty: float
    reason: Reason
    rule: str = ""
    score: float | None = None
    length_part: float | None = None
    coverage_part: float | None = None


@dataclass(frozen=True)
class _Cause:
    """Why continuations have the log-probability -inf in the ranking.

    Attributes:
        mask: `[R V]`, the continuations.
        reason: for all of them.
        rule: its class; empty: no rule.
    """

    mask: Bool[Tensor, "R V"]
    reason: Reason
    rule: str = ""


class BeamTree:
    """Observer of the search for one sentence; not for samples, which have no beam.

    At each step it records the 2K best continuations by the model, for a beam of K places, and all
    that are kept. Several searches may be observed one after the other: the last one counts.

    Args:
        search: the search that is observed.

    Attributes:
        nodes: in the order of their steps. A node comes after its parent.
        stops: groups and steps at which the search gave up its open hypotheses (`stop_reason`).
    """

    def __init__(self, search: Search) -> None:
        assert not search.draws_samples, "samples have no beam"
        self.nodes: list[BeamNode] = []
        self.stops: list[tuple[int, int]] = []
        self._search = search
        self._num_groups, self._strength = 1, 0.0
        if isinstance(search, DiverseBeamSearch):
            self._num_groups, self._strength = search.num_groups, search.strength
        self._open: dict[tuple[int, tuple[int, ...]], int] = {}
        self._unmet: dict[int, int] = {}

    @property
    def num_places(self) -> int:
        """Return K, the places of the beam; of each group, in a diverse beam."""
        return self._search.beam_size

    @property
    def stop_reason(self) -> str:
        """Return why a search gives up its open hypotheses."""
        if isinstance(self._search, BeamSearch) and self._search.stopping == "first":
            return "enough hypotheses have finished"
        return "no open hypothesis can beat the best"

    def best(self) -> BeamNode | None:
        """Return the last node of the best finished hypothesis; None if there is none."""
        fewest = min(self._unmet.values(), default=0)
        finished = [self.nodes[node] for node, unmet in self._unmet.items() if unmet == fewest]
        in_order = sorted(finished, key=lambda node: node.group)
        return max(in_order, key=lambda node: node.score or 0.0, default=None)

    def path(self, node: BeamNode | None) -> list[BeamNode]:
        """Return the nodes from the first token to this one."""
        path: list[BeamNode] = []
        while node is not None:
            path.append(node)
            node = None if node.parent is None else self.nodes[node.parent]
        return path[::-1]

    def __call__(self, step: SearchStep) -> None:
        """Record a step."""
        if step.partial.length == 0:
            for found in (self.nodes, self.stops, self._open, self._unmet):
                found.clear()
        causes = list(self._find_causes(step))
        times_taken = torch.zeros_like(step.ranked[0])
        for place, group in enumerate(step.number.tolist()):
            assert group < self._num_groups, "only one sentence can be observed"
            self._add_sentence(step, place, step.ranked - self._strength * times_taken, causes)
            kept, is_open = step.kept[place], step.is_open[place]
            tokens = step.candidates.tokens[place, kept]
            times_taken += torch.bincount(tokens, minlength=len(times_taken))
            if (tokens != EOS).any() and not is_open.any():
                self.stops.append((group, step.partial.length))

    def _find_causes(self, step: SearchStep) -> Iterator[_Cause]:
        """Yield what forbids continuations, in the order in which a search applies it."""
        partial, rules = step.partial, self._search.rules
        is_blocked = _is_blocked(step)
        forced = partial.forced()
        if forced is not None:
            mask = is_blocked.new_zeros(is_blocked.shape)
            mask[forced[0]] = True
            yield _Cause(mask & is_blocked, "constraint")
        changed = step.by_model.clone()
        changed[:, rules.excluded] = -inf
        yield _Cause((changed == -inf) & is_blocked, "forbidden", _EXCLUDED)
        for rule in rules.rules:
            rule(changed, partial)
            yield _Cause((changed == -inf) & is_blocked, rule.reason, type(rule).__name__)
        yield _Cause(step.ranked == -inf, "length")
        yield _Cause(is_blocked, "constraint")

    def _add_sentence(
        self, step: SearchStep, place: int, ranked: Float[Tensor, "R V"], causes: list[_Cause]
    ) -> None:
        """Add the nodes of one step of one sentence, or of one group of a diverse beam.

        Args:
            step: of the search.
            place: of the sentence in the step.
            ranked: log-probabilities for ranking, with the diversity penalty.
            causes: why continuations are not ranked.
        """
        found, kept = step.candidates, step.kept[place]
        columns = {
            (int(found.rows[place, column]), int(found.tokens[place, column])): column
            for column in kept.nonzero().flatten().tolist()
        }
        worst = found.totals[place].masked_fill(~kept, inf).min()
        for row, token in dict.fromkeys([*self._likeliest(step, place), *columns]):
            column = columns.get((row, token))
            cause = next((each for each in causes if each.mask[row, token]), None)
            value = ranked[row, token] if cause is None else step.by_model[row, token]
            total = step.hypotheses.total[row] + value
            node = self._node(step, place, row, token, total)
            if column is not None:
                node = self._keep(step, node, place, column)
            elif cause is not None:
                node = replace(node, reason=cause.reason, rule=cause.rule)
            elif step.progress is not None and total > worst:
                # A candidate with another number of phrase tokens has taken its place.
                node = replace(node, reason="constraint")
            self.nodes.append(node)

    def _node(self, step: SearchStep, place: int, row: int, token: int, total: Tensor) -> BeamNode:
        """Return the node of a token after a hypothesis, as if it were worse than those kept."""
        group, tokens = int(step.number[place]), tuple(step.partial.tokens[row].tolist())
        log_probability = step.hypotheses.log_probability[row] + step.by_model[row, token]
        subset = step.partial.request.subset
        return BeamNode(
            id=len(self.nodes),
            parent=self._open.get((group, tokens)),
            group=group,
            step=step.partial.length,
            token=token if subset is None else subset.to_tokens([token])[0],
            token_log_probability=float(step.by_model[row, token]),
            log_probability=float(log_probability),
            penalty=float(total) - float(log_probability),
            reason="worse than K",
        )

    def _keep(self, step: SearchStep, node: BeamNode, place: int, column: int) -> BeamNode:
        """Note that a candidate is kept; return its node, with its score if it is finished."""
        row, token = int(step.candidates.rows[place, column]), step.candidates.tokens[place, column]
        if token != EOS:
            tokens = (*step.partial.tokens[row].tolist(), int(token))
            self._open[node.group, tokens] = node.id
            return replace(node, reason="kept")
        assert step.scores is not None
        progress, total = step.progress, step.candidates.totals[place, column]
        self._unmet[node.id] = 0 if progress is None else int(progress.num_unmet()[row])
        length = total.new_full((), step.partial.length + 1)
        after = float(self._search.scoring.length.score(total, length))
        score = float(step.scores[place, column])
        node = replace(node, length_part=after - float(total), coverage_part=score - after)
        return replace(node, reason="finished", score=score)

    def _likeliest(self, step: SearchStep, place: int) -> list[tuple[int, int]]:
        """Return row and token of the 2K best continuations of a sentence by the model."""
        vocabulary_size = step.by_model.shape[1]
        rows = step.slots[place]
        rows = rows[rows < len(step.by_model)]
        values = (step.by_model[rows] + step.hypotheses.total[rows].unsqueeze(1)).flatten()
        order = best_in_order(values.unsqueeze(0), min(2 * self._search.beam_size, len(values)))[0]
        return [
            (int(rows[index // vocabulary_size]), index % vocabulary_size)
            for index in order[values[order] > -inf].tolist()
        ]


def _is_blocked(step: SearchStep) -> Bool[Tensor, "R V"]:
    """Return which continuations the search cannot choose."""
    if step.progress is None:
        return step.ranked == -inf
    return forbid_early_end(step.ranked, step.progress) == -inf

"""Results of the ways to translate a file, as a Markdown table."""

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Way:
    """One way to translate the file.

    Attributes:
        name: in the table.
        beam_size: 1 is greedy search.
        command: arguments of Python, without the input, which comes last.
        family: only the fastest of the ways of a family is shown; None: shown.
    """

    name: str
    beam_size: int
    command: list[str]
    family: str | None = None


@dataclass
class Measured:
    """Results of one way.

    Attributes:
        seconds: of the command, in each round.
        startup: seconds of the same command for one line, in each round; empty without --pieces.
        bleu: of the output; 0 with --pieces.
    """

    seconds: list[float] = field(default_factory=list)
    startup: list[float] = field(default_factory=list)
    bleu: float = 0.0

    def median(self) -> float:
        """Return the median of the command's seconds."""
        return statistics.median(self.seconds)

    def without_startup(self) -> float:
        """Return the median over the rounds of the seconds that the other lines take."""
        pairs = zip(self.seconds, self.startup, strict=True)
        return statistics.median(whole - one_line for whole, one_line in pairs)


def fastest(ways: list[Way], results: list[Measured]) -> list[tuple[Way, Measured]]:
    """Return all ways with their results, but only the one of a family with the best median."""
    best: dict[tuple[object, int], tuple[Way, Measured]] = {}
    for index, (way, result) in enumerate(zip(ways, results, strict=True)):
        key = index if way.family is None else way.family, way.beam_size
        if key not in best or result.median() < best[key][1].median():
            best[key] = way, result
    return list(best.values())


def bleu_table(rows: list[tuple[Way, Measured]], num_lines: int, reference: str) -> list[str]:
    """Return a table with the ratio of medians to the first way of the same beam, and BLEU."""
    table = [f"| beam | what | seconds, median (all) | lines/s | against {reference} | BLEU |"]
    table.append("|---|---|---|---|---|---|")
    firsts: dict[int, Measured] = {}
    for way, result in rows:
        ratio = firsts.setdefault(way.beam_size, result).median() / result.median()
        table.append(f"{opening(way, result, num_lines)} | {ratio:.2f} | {result.bleu:.2f} |")
    return table


def pieces_table(rows: list[tuple[Way, Measured]], num_lines: int, reference: str) -> list[str]:
    """Return a table with the ratio of medians, and the same without start-up."""
    head = f"| beam | what | seconds, median (all) | lines/s | against {reference} "
    table = [f"{head}| start-up, s | lines/s without start-up | against {reference} |"]
    table.append("|---|---|---|---|---|---|---|---|")
    firsts: dict[int, Measured] = {}
    for way, result in rows:
        first = firsts.setdefault(way.beam_size, result)
        ratio, startup = first.median() / result.median(), statistics.median(result.startup)
        seconds = result.without_startup()
        table.append(
            f"{opening(way, result, num_lines)} | {ratio:.2f} | {startup:.2f} "
            f"| {(num_lines - 1) / seconds:.0f} | {first.without_startup() / seconds:.2f} |"
        )
    return table


def opening(way: Way, result: Measured, num_lines: int) -> str:
    """Return the first cells of a row."""
    all_times = ", ".join(f"{value:.1f}" for value in sorted(result.seconds))
    median = result.median()
    return f"| {way.beam_size} | {way.name} | {median:.2f} ({all_times}) | {num_lines / median:.0f}"

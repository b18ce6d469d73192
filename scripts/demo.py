"""A tour in two minutes: a toy language, a small model, and its attention.

Run by `make demo`; every step is a command that you can give yourself.
"""

import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "configs/toy.yaml"
CORPUS = Path("data/toy")
RUN = Path("runs/toy")
SENTENCES = (
    "Tom chases Jerry.",
    "I love my dog!",
    "Anna knows that the old dog chases the small cat.",
)


def main() -> int:
    """Go through the steps; returns the exit code of the first that fails, or 0."""
    started = time.monotonic()
    say(
        "nmt learns to translate from examples alone. This tour makes 30,000 English sentences "
        "with their German translations, trains a small network on them, and shows which English "
        "words it looked at while it wrote each German word."
    )
    # The last file to be written: if it exists, all do.
    corpus_is_there = (ROOT / CORPUS / "test.align").is_file()
    steps = [
        *([] if corpus_is_there else [prepare]),
        train,
        evaluate,
        measure_alignments,
        show_attention,
    ]
    for number, step in enumerate(steps, start=1):
        print(f"\n--- {number} of {len(steps)} ---")
        code = step()
        if code != 0:
            return code
    say(
        f"Done in {time.monotonic() - started:.0f} seconds. Next: look at the pictures in "
        f"{RUN}/plots, translate a sentence of your own (nmt translate {RUN}), or read README.md "
        "for a corpus of your own."
    )
    return 0


def prepare() -> int:
    """Generate the toy corpus."""
    say(
        "A grammar writes the corpus. Its German has what makes translation hard: verbs that move "
        "to the end of subordinate clauses, verbs that come apart, articles that agree."
    )
    return run_command([sys.executable, "scripts/prepare_toy.py", "--out", str(CORPUS)])


def train() -> int:
    """Train the toy configuration."""
    say(
        f"Training, as {CONFIG} says. After each epoch the model translates sentences that it has "
        "never seen: watch BLEU, the overlap with the right translation, rise towards 100."
    )
    return nmt("train", CONFIG, "--overwrite")


def evaluate() -> int:
    """Score the test set."""
    say("The exam: a test set that nothing was chosen on, translated with beam search.")
    return nmt("evaluate", str(RUN))


def measure_alignments() -> int:
    """Compare attention with the word alignments of the grammar."""
    say(
        "Nobody told the model which word translates which; attention found out. The grammar "
        "knows, so we can count how often it is wrong (alignment error rate, 0% is perfect)."
    )
    (ROOT / RUN / "translations").mkdir(parents=True, exist_ok=True)
    return nmt(
        *("align", str(RUN), "--source", f"{CORPUS}/test.en", "--target", f"{CORPUS}/test.de"),
        *("--gold", f"{CORPUS}/test.align", "-o", f"{RUN}/translations/test.align"),
    )


def show_attention() -> int:
    """Translate some sentences, with the attention as tables and as pictures."""
    # Imported here because it loads torch: the first text appears at once.
    from nmt import Translator
    from nmt.visualization.attention_table import attention_table
    from nmt.visualization.plots import plot_attention

    say(
        "Where does it look? A row for each German word that it wrote, a column for each English "
        "word; the darker the cell, the more it looked there. In the last sentence the verb of "
        "the subordinate clause goes to the end: see how the attention jumps back to it."
    )
    translations = Translator.from_run(ROOT / RUN).translate(SENTENCES, with_alignments=True)
    for number, (sentence, translation) in enumerate(
        zip(SENTENCES, translations, strict=True), start=1
    ):
        alignment = translation.alignment
        assert alignment is not None, "it was asked for"
        words = (alignment.source_words, alignment.target_words)
        picture = RUN / "plots" / f"attention-{number}.png"
        plot_attention(alignment.weights, *words, ROOT / picture, title=sentence)
        print(f"\n{sentence}  ->  {translation.text}\n")
        print(attention_table(alignment.weights, *words))
        print(f"the same as a picture: {picture}", flush=True)
    return 0


def nmt(*arguments: str) -> int:
    """One command of the package, shown as it would be typed."""
    print(f"$ nmt {' '.join(arguments)}", flush=True)
    return run([sys.executable, "-m", "nmt", *arguments])


def run_command(command: Sequence[str]) -> int:
    """Another program of the project, shown as it would be typed."""
    print(f"$ python {' '.join(command[1:])}", flush=True)
    return run(command)


def run(command: Sequence[str]) -> int:
    """Run a command in the project's folder and return its exit code."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def say(text: str) -> None:
    """Print a paragraph of the tour."""
    print(f"\n{textwrap.fill(text, 88)}\n", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

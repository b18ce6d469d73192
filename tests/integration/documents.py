"""Pages of the documentation, and their blocks of code."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
LOG = ROOT / "docs/experiments.md"
PAGES = [README, *sorted(set((ROOT / "docs").rglob("*.md")) - {LOG})]
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


@dataclass(frozen=True)
class Block:
    """A block of code: its language, its text, and the line before it."""

    page: str
    language: str
    text: str
    before: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell, without comments; a backslash joins two."""
        if self.language == "console":
            return [command for command, _ in self.session]
        joined = re.sub(r" *\\\n *", " ", self.text)
        lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line]

    @property
    def session(self) -> list[tuple[str, str]]:
        """The commands of a terminal, each with its output."""
        return re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", self.text, re.MULTILINE)


def read_blocks(name: str) -> list[Block]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    blocks = []
    numbers = iter(range(len(lines)))
    for number in numbers:
        if lines[number].lstrip().startswith("```"):
            end = next(n for n in numbers if lines[n].lstrip().startswith("```"))
            text = "".join(f"{line}\n" for line in lines[number + 1 : end])
            language = lines[number].strip().removeprefix("```")
            blocks.append(Block(name, language, text, lines[number - 1]))
    return blocks


BLOCKS = [block for name in NAMES for block in read_blocks(name)]


def blocks(language: str, page: str | None = None) -> list[Block]:
    return [it for it in BLOCKS if it.language == language and page in (None, it.page)]


def commands(page: str | None = None) -> list[str]:
    shells = [*blocks("sh", page), *blocks("console", page)]
    return [command for block in shells for command in block.commands]

"""Marker of options that are themselves parts, such as the cell of an encoder."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PartOf:
    """Annotation of an option that is a class, which a configuration names from a table.

    The part is called like the class. If the configuration sets options of it, they are bound:
    ``cell(input_size, hidden_size)`` then stands for ``GRU(input_size, hidden_size, fused=False)``.

    Attributes:
        table: attribute name of the table in `nmt.config.registry`, as in "CELLS".
    """

    table: str

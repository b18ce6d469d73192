"""The recurrent cells that a configuration can name."""

from typing import Final

from nmt.nn.recurrent.recurrent import GRU, LSTM, Cell
from nmt.nn.recurrent.variants import DeepGRU, LayerNormGRU, LayerNormLSTM, PlainRNN

CELLS: Final[dict[str, type[Cell]]] = {
    "gru": GRU,
    "lstm": LSTM,
    "rnn": PlainRNN,
    "layer_norm_gru": LayerNormGRU,
    "layer_norm_lstm": LayerNormLSTM,
    "deep_gru": DeepGRU,
}

"""The recurrent cells that a configuration can name."""

from typing import Final

from nmt.nn.recurrent.cell import Cell
from nmt.nn.recurrent.gru import GRU, DeepGRU
from nmt.nn.recurrent.layer_norm import LayerNormGRU, LayerNormLSTM
from nmt.nn.recurrent.lstm import LSTM
from nmt.nn.recurrent.rnn import PlainRNN

CELLS: Final[dict[str, type[Cell]]] = {
    "gru": GRU,
    "lstm": LSTM,
    "rnn": PlainRNN,
    "layer_norm_gru": LayerNormGRU,
    "layer_norm_lstm": LayerNormLSTM,
    "deep_gru": DeepGRU,
}

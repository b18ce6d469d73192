"""The recurrent cells that a configuration can name."""

from typing import Final

from nmt.nn.recurrent import gru, layer_norm, lstm, minimal, rnn, sru, zoneout
from nmt.nn.recurrent.cell import Cell

CELLS: Final[dict[str, type[Cell]]] = {
    "gru": gru.GRU,
    "lstm": lstm.LSTM,
    "rnn": rnn.PlainRNN,
    "layer_norm_gru": layer_norm.LayerNormGRU,
    "layer_norm_lstm": layer_norm.LayerNormLSTM,
    "deep_gru": gru.DeepGRU,
    "min_gru": minimal.MinGRU,
    "min_lstm": minimal.MinLSTM,
    "sru": sru.SRU,
    "ssru": sru.SSRU,
    "zoneout_gru": zoneout.ZoneoutGRU,
    "zoneout_lstm": zoneout.ZoneoutLSTM,
}

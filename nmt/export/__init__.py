"""Export of a trained run to one self-contained ONNX file, which runs without PyTorch."""

"""Export of a trained run to one ONNX file that runs without PyTorch."""

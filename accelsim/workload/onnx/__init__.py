"""ONNX models: floating-point, quantized with QDQ pairs, or made of quantized operators."""

"""Float TFLite networks as float ONNX."""

"""TFLite models: the flatbuffer, its operators, and their integers."""

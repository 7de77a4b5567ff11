"""Operations: each a shape rule, a forward, a backward, a FLOP count and an ONNX name; one file per family."""

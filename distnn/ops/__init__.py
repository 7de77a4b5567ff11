"""Operations: each a shape rule, a forward, a backward and a FLOP count; one file per family."""

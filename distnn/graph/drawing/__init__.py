"""Drawings of graphs in DOT: of a lesson's graph, and of a model."""

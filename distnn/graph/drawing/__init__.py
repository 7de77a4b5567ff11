"""Drawings: in DOT, of a lesson's graph and of a model; in SVG, of a network's neurons."""

"""Convolutions: one op, three ways of computing it, and the choice between them.

A way is made from the shapes of the images x (N, H, W, C) and of the weight (kh, kw, C / groups, O), and the windows.
It asks for the buffers of ``work``, and binds three computations to the arrays. ``forward`` writes y (N, H′, W′, O),
and ``weight_gradient`` ∂J/∂weight, of which the first block writes its part and the others add theirs: both are passes
over ``blocks`` of y, the largest first, so that other passes, such as a bias and an activation, may see a block while
it is in the cache. ``input_gradient`` writes ∂J/∂x by a closure of its own, since its blocks are those of the images.
"""

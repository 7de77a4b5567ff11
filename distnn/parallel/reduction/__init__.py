"""How the ranks' gradients become one sum: by Allreduce or by nodes, in floating or in fixed point."""

"""Applications, the tree they are mounted on, and the servers that serve it."""

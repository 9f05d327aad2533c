"""One request, from its head to its finished response: what neither tools nor dispatch nor servers need to know."""

"""The same spec as other systems want it."""

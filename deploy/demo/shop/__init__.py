"""The shop of the demonstration: a CherryPy application against the documented API only."""

"""The version that applications see."""

# The release of CherryPy whose documented interface this package offers: applications compare it.
VERSION = "18.10.0"
SERVER_HEADER = f"CherryPy/{VERSION}"

"""Model files: which there are, how they get here, and where they lie. Imports no torch."""

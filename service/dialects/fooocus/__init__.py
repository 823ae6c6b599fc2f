"""What the APIs that are built on Fooocus have in common: its parameters, its words and its file names."""

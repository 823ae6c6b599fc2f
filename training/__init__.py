"""Training code for the models of our own. Nothing that serves jobs imports it."""

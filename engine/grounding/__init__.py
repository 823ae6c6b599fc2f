"""Where in a picture the things are that words name."""

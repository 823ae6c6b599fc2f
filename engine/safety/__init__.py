"""Whether a picture is safe for work, as far as networks can tell."""

"""Our own HTTP surface."""

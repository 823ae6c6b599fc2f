"""Ways out for events: a subscription in, frames out; no job logic."""

"""The version of the software, not of the protocol (`protocol.version`)."""

VERSION = "0.1.0"

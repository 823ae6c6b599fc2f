"""The version of the software, not of the protocol."""

from protocol.version import SOFTWARE_VERSION

VERSION = SOFTWARE_VERSION

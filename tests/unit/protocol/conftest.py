"""Property tests take as long as the machine takes: a busy one must not make them fail."""

from hypothesis import settings

settings.register_profile("safelight", deadline=None, max_examples=60)
settings.load_profile("safelight")

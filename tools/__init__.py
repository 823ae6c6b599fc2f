"""Programs for those who work on Safelight; nothing here is part of what runs."""

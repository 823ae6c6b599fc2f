"""What can be typed after `safelight`: one file per noun. `safelight.cli` puts them together."""

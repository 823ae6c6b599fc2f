"""Diffusion models: loading them from files, prompts, samplers, adapters, and jobs that share one forward pass."""

"""The wire format of the Stable Diffusion API that keeps its results in MinIO."""

"""The host: API, storage, relay and chain access. It can stop service, and nothing else."""

__version__ = "0.1.0"

"""The host: API, storage, relay and chain access. It can stop service, and nothing else."""

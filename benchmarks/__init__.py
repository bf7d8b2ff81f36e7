"""What signing costs: ratios, measured side by side in one run. `make bench`, or `python -m benchmarks latency dkg`."""

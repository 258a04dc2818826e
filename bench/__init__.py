"""Benchmarks: ours beside others, in one run, so that ratios mean something."""

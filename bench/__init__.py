"""Benchmarks. They compare contestants within one run, as ratios: machines differ."""

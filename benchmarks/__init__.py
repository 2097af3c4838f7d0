"""
Programs that measure, each against a peer, in one run, as ratios of medians: `python -m benchmarks.NAME`.

Each prints a table; `--json` prints one object with `bars`; `--quick` ends within ten minutes.
"""

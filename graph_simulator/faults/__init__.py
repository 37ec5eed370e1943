"""Faults: what can go wrong, by name.

`types.py` defines what a fault is, `injector.py` applies those that were requested. The other
modules define the faults: one function each.
"""

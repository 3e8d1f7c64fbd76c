"""Ports: the protocols through which use cases reach storage, the workflow, events and the clock.

Adapters implement them for AWS and for a local folder; tests implement them
with fakes that keep real state.
"""

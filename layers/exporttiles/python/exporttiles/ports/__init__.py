"""What the use cases need from the world, as protocols.

The adapters implement these for AWS and for a folder; the tests bring fakes
that keep real state.
"""

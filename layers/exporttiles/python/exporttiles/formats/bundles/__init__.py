"""Bundles: compact cache V1 and V2."""

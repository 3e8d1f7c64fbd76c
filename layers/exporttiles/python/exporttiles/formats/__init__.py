"""Bytes and documents of Esri's formats, to values and back."""

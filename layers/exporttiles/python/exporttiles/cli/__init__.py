"""The command ``exporttiles``, for whoever runs a stack or holds a package."""

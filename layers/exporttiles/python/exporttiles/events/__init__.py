"""Exports by events: requests that arrive as events, and events that announce changes of jobs."""

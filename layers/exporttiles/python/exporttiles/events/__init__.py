"""Exports without a person: requests that come as events, and events that tell of jobs."""

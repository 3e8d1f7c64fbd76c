"""Use cases joined with adapters, for the functions. A command joins the few that it needs itself."""

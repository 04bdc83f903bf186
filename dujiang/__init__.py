"""Dujiang: the command, the settings and the wiring of all parts."""

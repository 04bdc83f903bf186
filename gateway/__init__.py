"""HTTP for partners: publish events, learn what was refused and why, ask for health."""

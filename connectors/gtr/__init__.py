"""UKRI's Gateway to Research: projects of an extract, as CSV file drops."""

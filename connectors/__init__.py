"""Upstreams, one folder each, all of one shape.

`mapping.py` (their record -> our facts; pure), `source.py` (I/O), `settings.py`, `README.md`, `samples/`.
`catalogue.py` lists them and runs one; `files.py` and `text.py` hold what reading a dropped file takes. A new upstream
is a new folder and one line in the catalogue. `kafka_topic` follows a partner's log instead: `run.py` is its loop.
"""

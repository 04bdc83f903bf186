"""The operators' web console: what stands where, why it is so, and what people may do about it.

A process of its own (`dujiang console`, docs/adr/0015): pages are pure functions from rows to HTML (`pages/`), SQL stands in
`queries/`, words in `words.py`, deeds in `deeds.py`; `screens/` alone knows NiceGUI.
"""

"""Words of single subjects: `words.py` holds those that pages share and those of the first subjects."""

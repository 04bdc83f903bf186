"""EU funding calls as the Funding & Tenders Portal (SEDIA) lists them, as JSON-lines file drops."""

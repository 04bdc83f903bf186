"""The contracts: the CloudEvents codec, the table of topics, one file per subject, identifiers. Imports nothing of ours."""

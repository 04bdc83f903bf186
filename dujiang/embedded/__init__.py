"""Real Kafka and PostgreSQL on one machine: no Docker, no installed Java, no installed database. Linux and macOS."""

import sys

if sys.platform == "win32":
    raise ImportError("the embedded services need Linux or macOS; start Dujiang in WSL 2, or use docker-compose.yml")

#!/bin/bash
# Run once by the PostgreSQL image, when the database is made: a user for Grafana that reads what the role `dujiang_reader` may,
# which is the views `v_...` that the migrations make and nothing else: no table.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --set password="$GRAFANA_DATABASE_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE dujiang_reader NOLOGIN;
CREATE ROLE grafana LOGIN PASSWORD :'password' IN ROLE dujiang_reader;
ALTER ROLE grafana SET default_transaction_read_only = on;
-- A reader takes one core at most, for a while, and never all connections: writers share the machine with it.
ALTER ROLE grafana SET statement_timeout = '10s';
ALTER ROLE grafana SET max_parallel_workers_per_gather = 0;
ALTER ROLE grafana SET jit = off;
ALTER ROLE grafana CONNECTION LIMIT 10;
SQL

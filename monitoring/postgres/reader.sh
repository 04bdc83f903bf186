#!/bin/bash
# Run once by the PostgreSQL image, when the database is made: a role for Grafana that can read, and only read, the tables
# that migrations create afterwards.
set -euo pipefail
psql --set ON_ERROR_STOP=1 --set password="$GRAFANA_DATABASE_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO grafana;
SQL

#!/bin/sh
# Makes the role that Muster signs in with: it owns its database and may do nothing else.
# PostgreSQL's image runs this in a new volume. In one from before, by hand:
#   docker compose exec --env SUPERUSER=muster db sh /docker-entrypoint-initdb.d/owner.sh
# Name, password and database are those of the secret database_url. Running it again does
# no harm.
(
set -eu
url=$(cat "${DATABASE_URL_FILE:-/run/secrets/database_url}")
rest=${url#*://}
ROLE=${rest%%:*}
rest=${rest#*:}
PASSWORD=${rest%%@*}
DATABASE=${rest##*/}
export ROLE PASSWORD
superuser=${SUPERUSER:-${POSTGRES_USER:-postgres}}
if [ "$ROLE" = "$superuser" ]; then
    echo "database_url names $ROLE, which may do everything. Let it name another role." >&2
    exit 1
fi

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$superuser" --dbname="$DATABASE" <<'SQL'
\getenv role ROLE
\getenv password PASSWORD
BEGIN;
SELECT format('CREATE ROLE %I', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'password';
SELECT format('ALTER DATABASE %I OWNER TO %I', current_database(), :'role') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
ALTER SCHEMA public OWNER TO :"role";
-- What Muster made as somebody else. Sequences go with their tables.
SELECT format('ALTER TABLE %s OWNER TO %I', oid::regclass, :'role') FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \gexec
SELECT format('ALTER FUNCTION %s OWNER TO %I', oid::regprocedure, :'role') FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace \gexec
COMMIT;
SQL
)

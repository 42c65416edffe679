-- Written by rcfed, for psql as `postgres`; running it again changes nothing but the password.
\set ON_ERROR_STOP on
\set password `cat /run/rcfed/postgres_homeserver`
-- A failing statement is logged with its text, and one of these has the password.
SET log_min_error_statement = panic;
SET log_statement = none;
SELECT 'CREATE ROLE homeserver LOGIN'
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeserver') \gexec
ALTER ROLE homeserver LOGIN PASSWORD :'password';
-- Synapse refuses any other collation; Dendrite does not mind.
SELECT 'CREATE DATABASE homeserver OWNER homeserver TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C'' LC_CTYPE ''C'''
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'homeserver') \gexec

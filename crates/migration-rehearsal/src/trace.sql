-- What a sandbox server is told to write into its log while migrations run. A line in the log takes no part in the
-- transaction: the migration neither waits for it nor is seen to touch anything by it.

CREATE SCHEMA migration_trace;

-- The table locks of this transaction that hold others up or show that rows were changed, by number: a table that was
-- dropped has no name any more.
CREATE FUNCTION migration_trace.locks() RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_array(relation::bigint, mode)), '[]') FROM pg_catalog.pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted
      AND mode NOT IN ('AccessShareLock', 'RowShareLock')
$$;

-- The tables of these schemas, their indexes and the references between them, without what is not the service's own.
-- `qualified` puts schemas in front of names, but for `public`.
CREATE FUNCTION migration_trace.schema(wanted name[], qualified boolean) RETURNS jsonb LANGUAGE sql AS $$
    WITH tables AS (
        SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS identity,
               CASE WHEN qualified AND n.nspname <> 'public' THEN n.nspname || '.' || c.relname ELSE c.relname::text END AS relname
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (wanted) AND c.relkind IN ('r', 'p')
          AND c.relname !~ '^(migration_(journal|backfill|reject)|seaql_migrations)_'
    ), drawn AS MATERIALIZED (
        -- By a default that names the sequence, or as an identity column.
        SELECT f.adrelid AS relation, f.adnum AS number, s.relname::text AS sequence
        FROM pg_attrdef f JOIN tables t ON t.oid = f.adrelid
        JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
        UNION ALL
        SELECT d.refobjid, d.refobjsubid, s.relname::text
        FROM pg_depend d JOIN tables t ON t.oid = d.refobjid JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
        WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
    )
    SELECT jsonb_build_object(
        'tables', (SELECT coalesce(jsonb_object_agg(oid::bigint, relname), '{}') FROM tables),
        'columns', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                'relation', t.oid::bigint, 'number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, NULL),
                'read_as', format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> (SELECT typcollation FROM pg_type y WHERE y.oid = a.atttypid)
                    THEN ' COLLATE ' || a.attcollation::regcollation ELSE '' END,
                'required', a.attnotnull AND a.attidentity = '' AND a.attgenerated = '' AND NOT a.atthasdef,
                'serial', pg_get_serial_sequence(t.identity, a.attname) IS NOT NULL AND a.attidentity = '',
                'identity', a.attidentity <> '',
                'sequence', (SELECT min(d.sequence) FROM drawn d WHERE d.relation = t.oid AND d.number = a.attnum),
                'key', EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary AND a.attnum = ANY (i.indkey)))), '[]')
            FROM pg_attribute a JOIN tables t ON t.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped),
        'unindexed', (SELECT coalesce(jsonb_agg(DISTINCT t.relname || '.' || k.conname), '[]')
            FROM pg_constraint k JOIN tables t ON t.oid = k.conrelid WHERE k.contype = 'f' AND NOT EXISTS (
                SELECT FROM pg_index i WHERE i.indrelid = k.conrelid AND i.indpred IS NULL
                  AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)),
        'unfixed', (SELECT coalesce(jsonb_agg(p.proname), '[]') FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = ANY (wanted) AND p.prosecdef
              AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%')),
        'unkeyed', (SELECT coalesce(jsonb_agg(t.oid::bigint), '[]') FROM tables t JOIN pg_class c ON c.oid = t.oid
            WHERE c.relkind = 'r' AND c.relreplident IN ('d', 'n') AND (c.relreplident = 'n'
               OR NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary))),
        'elsewhere', (SELECT coalesce(jsonb_agg(t.relname || '.' || k.conname || ', to ' || n.nspname || '.' || r.relname), '[]')
            FROM pg_constraint k JOIN tables t ON t.oid = k.conrelid JOIN pg_class c ON c.oid = k.conrelid
            JOIN pg_class r ON r.oid = k.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
            WHERE k.contype = 'f' AND r.relnamespace <> c.relnamespace),
        'indexes', (SELECT coalesce(jsonb_object_agg(i.indexrelid::bigint, t.relname), '{}')
                    FROM pg_index i JOIN tables t ON t.oid = i.indrelid),
        'references', (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(f.relname, t.relname)), '[]')
                       FROM pg_constraint k JOIN tables f ON f.oid = k.conrelid JOIN tables t ON t.oid = k.confrelid
                       WHERE k.contype = 'f'))
$$;

-- The last statement of a migration is its line in the journal; all locks of its transaction are held then. A check
-- of the journal tells them, not a trigger: a migration may count the triggers of its schema.
CREATE FUNCTION migration_trace.journal(journal regclass, migration text, direction text, outcome text)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    place record;
BEGIN
    SELECT nspname, relname INTO place FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = journal;
    RAISE LOG 'migration trace: %', jsonb_build_object(
        'locks', migration_trace.locks(),
        'journal', migration_trace.schema(ARRAY[place.nspname], false) || jsonb_build_object(
            'schema', place.nspname, 'service', substr(place.relname, length('migration_journal_') + 1),
            'migration', migration, 'direction', direction, 'outcome', outcome));
    RETURN true;
END
$$;

-- The last statement that is sent for an SQL file that is no migration of a service: the same, of all schemas but the
-- server's own and ours.
CREATE FUNCTION migration_trace.file(file text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'migration trace: %', jsonb_build_object(
        'locks', migration_trace.locks(),
        'journal', migration_trace.schema((SELECT array_agg(nspname) FROM pg_namespace
                WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'migration_trace')), true)
            || jsonb_build_object('service', 'files', 'migration', file, 'direction', 'apply', 'outcome', 'succeeded'));
END
$$;

-- How often each table was scanned, as far as this session has counted.
CREATE FUNCTION migration_trace.scans() RETURNS jsonb LANGUAGE sql AS $$
    SELECT coalesce(jsonb_object_agg(relid::bigint, seq_scan), '{}') FROM pg_catalog.pg_stat_xact_user_tables WHERE seq_scan > 0
$$;

-- Outside a transaction each statement gives up its locks at its end. A concurrent build has done so before this is
-- called, so the lock that it is known to take (manual, section 13.3.1) is added.
CREATE FUNCTION migration_trace.ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    held jsonb := migration_trace.locks();
    created record;
BEGIN
    FOR created IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
        IF created.command_tag = 'CREATE INDEX' THEN
            held := held || (SELECT jsonb_agg(jsonb_build_array(indrelid::bigint, 'ShareUpdateExclusiveLock'))
                             FROM pg_index WHERE indexrelid = created.objid);
        ELSIF created.command_tag = 'CREATE TABLE' AND replace(created.object_identity, '"', '') LIKE '%.migration\_journal\_%' THEN
            EXECUTE format('ALTER TABLE %s ADD CHECK (migration_trace.journal(%s::regclass, migration, direction, outcome))',
                           created.object_identity, quote_literal(created.object_identity));
        END IF;
    END LOOP;
    RAISE LOG 'migration trace: %', jsonb_build_object(
        'locks', held, 'tag', TG_TAG, 'scans', migration_trace.scans(),
        'indexed', (SELECT coalesce(jsonb_agg(i.indrelid::bigint), '[]') FROM pg_event_trigger_ddl_commands() c
                    JOIN pg_index i ON i.indexrelid = c.objid WHERE c.command_tag = 'CREATE INDEX'));
END
$$;

CREATE FUNCTION migration_trace.dropped() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'migration trace: %', jsonb_build_object(
        'locks', migration_trace.locks(),
        'dropped', (SELECT coalesce(jsonb_agg(jsonb_build_array(objid::bigint, objsubid, object_type, coalesce(object_name,
                        address_names[array_upper(address_names, 1)]))), '[]')
                    FROM pg_event_trigger_dropped_objects()
                    WHERE original AND object_type IN ('table', 'table column', 'view')),
        'dropped_indexes', (SELECT coalesce(jsonb_agg(objid::bigint), '[]') FROM pg_event_trigger_dropped_objects()
                            WHERE object_type = 'index'));
END
$$;

CREATE FUNCTION migration_trace.begun() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'migration trace: %', jsonb_build_object('scans_before', migration_trace.scans());
END
$$;

CREATE FUNCTION migration_trace.rewritten() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'migration trace: %', jsonb_build_object('rewritten', pg_event_trigger_table_rewrite_oid()::bigint);
END
$$;

CREATE EVENT TRIGGER migration_trace_begun ON ddl_command_start EXECUTE FUNCTION migration_trace.begun();
CREATE EVENT TRIGGER migration_trace_rewritten ON table_rewrite EXECUTE FUNCTION migration_trace.rewritten();
CREATE EVENT TRIGGER migration_trace_ddl ON ddl_command_end EXECUTE FUNCTION migration_trace.ddl();
CREATE EVENT TRIGGER migration_trace_dropped ON sql_drop EXECUTE FUNCTION migration_trace.dropped();

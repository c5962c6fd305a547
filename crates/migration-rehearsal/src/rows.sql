-- Gives tables rows, and tries what a role may do with them that has rights on nothing but one table. What it does is
-- no migration's doing.

-- The values to be tried for a column, as text, in the order in which they are tried. Whole numbers are large, so that they are
-- not those that a migration writes.
CREATE FUNCTION migration_trace.candidates(of_table oid, number int2, n int) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    attribute record;
    listed text[];
    text_value text;
    is_checked boolean;
BEGIN
    SELECT a.attname, a.atttypmod, coalesce(nullif(t.typbasetype, 0), t.oid) AS base, t.typtypmod INTO attribute
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = of_table AND a.attnum = number;
    SELECT t.typcategory, t.typtype, t.oid, t.typname, greatest(attribute.atttypmod, attribute.typtypmod) AS modifier INTO attribute
    FROM pg_type t WHERE t.oid = attribute.base;
    IF attribute.typtype = 'e' THEN
        RETURN (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = attribute.oid);
    END IF;
    -- What checks and defaults name in quotes is what may be there.
    SELECT array_agg(DISTINCT replace(m.quoted[1], '''''', '''')) INTO listed
    FROM pg_constraint k CROSS JOIN LATERAL regexp_matches(pg_get_constraintdef(k.oid), '''((?:[^'']|'''')*)''', 'g') AS m (quoted)
    WHERE k.conrelid = of_table AND k.contype = 'c' AND number = ANY (k.conkey);
    text_value := CASE
        WHEN attribute.typname = 'uuid' THEN md5('row ' || n)
        WHEN attribute.typname = 'bool' THEN 'true'
        WHEN attribute.typname = 'int2' THEN (30000 + n)::text
        WHEN attribute.typname IN ('json', 'jsonb') THEN '{}'
        WHEN attribute.typname = 'bytea' THEN '\x' || to_hex(16 + n)
        WHEN attribute.typname = 'inet' OR attribute.typname = 'cidr' THEN '10.0.0.' || n
        WHEN attribute.typname = 'numeric' AND attribute.modifier > 4 THEN n::text
        WHEN attribute.typcategory = 'N' THEN (1000000000 + n)::text
        WHEN attribute.typcategory = 'D' THEN '2025-01-01'
        WHEN attribute.typcategory = 'T' THEN '1 hour'
        WHEN attribute.typcategory = 'A' THEN '{}'
        WHEN attribute.typcategory = 'R' THEN 'empty'
        WHEN attribute.typcategory = 'S' AND attribute.typname IN ('varchar', 'bpchar') AND attribute.modifier > 4
            THEN left(n || ' row', attribute.modifier - 4)
        WHEN attribute.typcategory = 'S' THEN n || ' row'
        WHEN attribute.typcategory IN ('B', 'V') THEN repeat('0', greatest(attribute.modifier, 1))
        ELSE NULL
    END;
    listed := array_append(listed, text_value);
    IF attribute.typcategory = 'N' THEN
        is_checked := EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = of_table AND k.contype = 'c' AND number = ANY (k.conkey));
        listed := CASE WHEN is_checked THEN ARRAY[n::text, '0', '0.5'] || listed ELSE listed || n::text END;
    END IF;
    RETURN array_remove(listed, NULL);
END
$$;

-- The columns of one row of this number, and a value for each. `attempt` chooses among candidates: columns with fewer of them stay
-- at their last one.
CREATE FUNCTION migration_trace.new_row(of_table oid, n int, attempt int) RETURNS TABLE (columns text, given text) LANGUAGE sql AS $$
    WITH known AS (
        SELECT a.attname, a.attnum, format_type(a.atttypid, a.atttypmod) AS type, c.candidates,
               (SELECT format('(SELECT %I FROM %s ORDER BY ctid OFFSET %s %% (SELECT greatest(count(*), 1) FROM %2$s) LIMIT 1)',
                    f.attname, k.confrelid::regclass, n - 1)
                FROM pg_constraint k CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS pair (own, other)
                JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = pair.other
                WHERE k.contype = 'f' AND k.conrelid = of_table AND pair.own = a.attnum ORDER BY k.oid LIMIT 1) AS reference
        FROM pg_attribute a
        CROSS JOIN LATERAL (SELECT migration_trace.candidates(of_table, a.attnum, n) AS candidates) AS c
        WHERE a.attrelid = of_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ), chosen AS (
        SELECT attname, attnum, coalesce(reference, format('%L::%s',
            candidates[least(attempt, cardinality(candidates))], type)) AS value FROM known
    )
    SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum),
           string_agg(format('%s AS %I', value, attname), ', ' ORDER BY attnum) FROM chosen
$$;

-- Tables that were given rows here.
CREATE TABLE migration_trace.filled (relation oid PRIMARY KEY);

-- Gives each table of these schemas that has none of them rows, as far as that succeeds, and names those that get none.
CREATE FUNCTION migration_trace.fill(wanted name[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    n_rows constant int := 3;
    n_attempts constant int := 6;
    empty oid[];
    of_table oid;
    has_rows boolean;
    n_filled int;
    inserted boolean;
BEGIN
    SELECT coalesce(array_agg(c.oid ORDER BY c.oid), '{}') INTO empty
    FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
    WHERE s.nspname = ANY (wanted) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND c.relname !~ '^(migration_(journal|backfill|reject)|seaql_migrations)_';
    -- A table that refers to another one gets its rows after that one has.
    LOOP
        n_filled := 0;
        FOREACH of_table IN ARRAY empty LOOP
            -- Rows that a migration wrote are not those that others refer to here.
            EXECUTE format('SELECT EXISTS (SELECT FROM %s) AND EXISTS (SELECT FROM migration_trace.filled WHERE relation = %L)',
                of_table::regclass, of_table) INTO has_rows;
            IF NOT has_rows THEN
                FOR n IN 1..n_rows LOOP
                    inserted := false;
                    FOR attempt IN 1..n_attempts LOOP
                        BEGIN
                            EXECUTE (SELECT format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s', of_table::regclass, columns, given)
                                     FROM migration_trace.new_row(of_table, n, attempt));
                            inserted := true;
                        EXCEPTION WHEN OTHERS THEN
                            NULL;
                        END;
                        EXIT WHEN inserted;
                    END LOOP;
                    EXIT WHEN NOT inserted;
                    has_rows := true;
                END LOOP;
                n_filled := n_filled + has_rows::int;
                IF has_rows THEN
                    INSERT INTO migration_trace.filled VALUES (of_table) ON CONFLICT DO NOTHING;
                END IF;
            END IF;
            IF has_rows THEN
                empty := array_remove(empty, of_table);
            END IF;
        END LOOP;
        EXIT WHEN n_filled = 0;
    END LOOP;
    RETURN QUERY SELECT relation::regclass::text FROM unnest(empty) AS relation;
END
$$;

-- A row that is inserted, changed and deleted again; all but what identifies it becomes that of another row.
CREATE FUNCTION migration_trace.writes(of_table oid) RETURNS text[] LANGUAGE sql AS $$
    SELECT ARRAY[
        format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT * FROM pg_temp.migration_given', of_table::regclass,
            string_agg(format('%I', attname), ', ' ORDER BY attnum)),
        format('UPDATE %1$s SET (%2$s) = ROW (%3$s) FROM (SELECT * FROM %1$s LIMIT 1) AS other WHERE %1$s.ctid = (SELECT max(ctid) FROM %1$s)',
            of_table::regclass, string_agg(format('%I', attname), ', ' ORDER BY attnum) FILTER (WHERE NOT is_key),
            string_agg(format('other.%I', attname), ', ' ORDER BY attnum) FILTER (WHERE NOT is_key)),
        format('DELETE FROM %1$s WHERE ctid = (SELECT max(ctid) FROM %1$s)', of_table::regclass)]
    FROM (SELECT attname, attnum, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = of_table AND i.indisunique AND attnum = ANY (i.indkey)) AS is_key
          FROM pg_attribute WHERE attrelid = of_table AND attnum > 0 AND NOT attisdropped AND attgenerated = '') AS known
$$;

-- What triggers of these schemas lack for a writer that has rights on nothing but the table itself: the table, and what the
-- server says. Functions with their owner's rights need none. Nothing that is tried is kept.
CREATE FUNCTION migration_trace.denied(wanted name[]) RETURNS TABLE (of_table text, says text) LANGUAGE plpgsql AS $$
DECLARE
    writer constant name := 'migration_trace_writer';
    n_attempts constant int := 6;
    target record;
    writes text[];
    spoken text;
    is_done boolean;
BEGIN
    BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', writer);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    FOR target IN
        SELECT DISTINCT c.oid, s.nspname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        JOIN pg_namespace s ON s.oid = c.relnamespace JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND NOT p.prosecdef AND s.nspname = ANY (wanted)
        ORDER BY 2, 3
    LOOP
        spoken := NULL;
        BEGIN
            EXECUTE format('GRANT ALL ON %s TO %I', target.oid::regclass, writer);
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', target.nspname, writer);
            writes := migration_trace.writes(target.oid);
            FOR attempt IN 1..n_attempts LOOP
                is_done := false;
                BEGIN
                    -- The row is made before, with the rights to read what it refers to.
                    EXECUTE (SELECT format('CREATE TEMPORARY TABLE migration_given ON COMMIT DROP AS SELECT %s', given)
                             FROM migration_trace.new_row(target.oid, 1000, attempt));
                    EXECUTE format('GRANT SELECT ON migration_given TO %I', writer);
                    EXECUTE format('SET LOCAL ROLE %I', writer);
                    SET CONSTRAINTS ALL IMMEDIATE;
                    EXECUTE writes[1];
                    -- What cannot be changed or deleted for another reason says nothing of rights.
                    FOR number IN 2..3 LOOP
                        BEGIN
                            EXECUTE writes[number];
                        EXCEPTION
                            WHEN insufficient_privilege THEN
                                RAISE;
                            WHEN OTHERS THEN
                                NULL;
                        END;
                    END LOOP;
                    is_done := true;
                    RAISE EXCEPTION 'nothing is kept';
                EXCEPTION
                    WHEN insufficient_privilege THEN
                        GET STACKED DIAGNOSTICS spoken = MESSAGE_TEXT;
                        is_done := true;
                    WHEN OTHERS THEN
                        NULL;
                END;
                EXIT WHEN is_done;
            END LOOP;
            RAISE EXCEPTION 'nothing is kept';
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
        IF spoken IS NOT NULL THEN
            of_table := CASE WHEN target.nspname = 'public' OR cardinality(wanted) = 1 THEN '' ELSE target.nspname || '.' END || target.relname;
            says := spoken;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;

-- Takes all rows out of the tables that were given some.
CREATE FUNCTION migration_trace.empty() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    tables text;
BEGIN
    SELECT string_agg(c.oid::regclass::text, ', ') INTO tables FROM pg_class c JOIN migration_trace.filled ON relation = c.oid;
    IF tables IS NOT NULL THEN
        EXECUTE 'TRUNCATE ' || tables || ' CASCADE';
    END IF;
END
$$;

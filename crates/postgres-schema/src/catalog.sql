-- The objects of the schema $1: kind, table, name, and one row per property that has a value.
WITH own AS (SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname = $1),
members AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
relations AS (
    SELECT c.* FROM pg_class c JOIN own ON own.oid = c.relnamespace
    WHERE (c.tableoid, c.oid) NOT IN (SELECT classid, objid FROM members)
),
tables AS (SELECT * FROM relations WHERE relkind IN ('r', 'p', 'f')),
objects (kind, parent, name, properties) AS (
    -- The first array decides the type of all: as `name` they would be cut to 63 bytes.
    SELECT 'schema', NULL::text, '', ARRAY[
        ['owner', pg_get_userbyid(nspowner)::text], ['grants', array_to_string(nspacl, ', ')],
        ['comment', obj_description(oid, 'pg_namespace')]] FROM own
    UNION ALL
    SELECT 'table', NULL, relname, ARRAY[
        ['kind', CASE relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' ELSE 'plain' END],
        ['persistence', CASE relpersistence WHEN 'u' THEN 'unlogged' END],
        ['partition key', CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END],
        ['partition of', CASE WHEN relispartition THEN (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = r.oid) END],
        ['partition bound', pg_get_expr(relpartbound, oid)],
        ['inherits', CASE WHEN NOT relispartition THEN
            (SELECT string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = r.oid) END],
        ['row security', CASE WHEN relforcerowsecurity THEN 'forced' WHEN relrowsecurity THEN 'enabled' END],
        ['replica identity', CASE relreplident WHEN 'd' THEN NULL ELSE relreplident::text END],
        ['options', array_to_string(reloptions, ', ')],
        ['owner', pg_get_userbyid(relowner)], ['grants', array_to_string(relacl, ', ')],
        ['comment', obj_description(oid, 'pg_class')]] FROM tables r
    UNION ALL
    SELECT 'view', NULL, relname, ARRAY[
        ['materialized', CASE relkind WHEN 'm' THEN 'yes' END], ['definition', pg_get_viewdef(oid, true)],
        ['options', array_to_string(reloptions, ', ')],
        ['owner', pg_get_userbyid(relowner)], ['grants', array_to_string(relacl, ', ')],
        ['comment', obj_description(oid, 'pg_class')]] FROM relations WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT 'column', r.relname, a.attname, ARRAY[
        ['type', format_type(a.atttypid, a.atttypmod)],
        ['not null', CASE WHEN a.attnotnull THEN 'yes' END],
        ['default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END],
        ['generated', CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END],
        ['identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END],
        ['collation', (SELECT c.oid::regcollation::text FROM pg_collation c JOIN pg_type t ON t.oid = a.atttypid
                       WHERE c.oid = a.attcollation AND c.oid <> t.typcollation)],
        ['grants', array_to_string(a.attacl, ', ')], ['comment', col_description(a.attrelid, a.attnum)]]
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f', 'v', 'm')
    UNION ALL
    -- `NOT NULL` is a property of its column; since PostgreSQL 18 it is a constraint too.
    SELECT 'constraint', r.relname, k.conname, ARRAY[
        ['definition', regexp_replace(pg_get_constraintdef(k.oid, true), ' NOT VALID$', '')],
        ['validated', CASE WHEN k.convalidated THEN 'yes' ELSE 'no' END],
        ['triggers', (SELECT CASE WHEN bool_or(g.tgenabled <> 'O') THEN 'disabled' END FROM pg_trigger g
                      WHERE g.tgconstraint = k.oid AND g.tgisinternal)],
        ['comment', obj_description(k.oid, 'pg_constraint')]]
    FROM pg_constraint k JOIN tables r ON r.oid = k.conrelid WHERE k.contype NOT IN ('n', 't')
    UNION ALL
    SELECT 'index', t.relname, c.relname, ARRAY[
        ['definition', pg_get_indexdef(c.oid, 0, true)],
        ['valid', CASE WHEN i.indisvalid THEN 'yes' ELSE 'no' END],
        ['replica identity', CASE WHEN i.indisreplident THEN 'yes' END],
        ['clustered', CASE WHEN i.indisclustered THEN 'yes' END],
        ['comment', obj_description(c.oid, 'pg_class')]]
    FROM pg_index i JOIN relations t ON t.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
    UNION ALL
    SELECT 'trigger', r.relname, g.tgname, ARRAY[
        ['definition', pg_get_triggerdef(g.oid, true)],
        ['enabled', CASE g.tgenabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' ELSE g.tgenabled::text END],
        ['comment', obj_description(g.oid, 'pg_trigger')]]
    FROM pg_trigger g JOIN relations r ON r.oid = g.tgrelid WHERE NOT g.tgisinternal
    UNION ALL
    SELECT 'rule', r.relname, w.rulename, ARRAY[
        ['definition', rtrim(pg_get_ruledef(w.oid, true), ';')],
        ['enabled', CASE w.ev_enabled WHEN 'O' THEN 'yes' WHEN 'D' THEN 'no' ELSE w.ev_enabled::text END],
        ['comment', obj_description(w.oid, 'pg_rewrite')]]
    FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
    UNION ALL
    -- The server lists columns in the order of the table, and writes the name with its schema.
    SELECT 'statistics', r.relname, x.stxname, ARRAY[
        ['definition', 'CREATE STATISTICS ' || quote_ident(x.stxname)
            || coalesce((SELECT ' (' || string_agg(CASE kind WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' ELSE 'mcv' END, ', ' ORDER BY kind) || ')'
                         FROM unnest(x.stxkind) AS kind WHERE kind <> 'e'), '') || ' ON '
            || concat_ws(', ', (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) FROM pg_attribute a
                                WHERE a.attrelid = x.stxrelid AND a.attnum = ANY (x.stxkeys)),
                         array_to_string(pg_get_statisticsobjdef_expressions(x.oid), ', '))
            || ' FROM ' || x.stxrelid::regclass],
        ['target', nullif(to_jsonb(x) ->> 'stxstattarget', '-1')],
        ['comment', obj_description(x.oid, 'pg_statistic_ext')]]
    FROM pg_statistic_ext x JOIN relations r ON r.oid = x.stxrelid
    UNION ALL
    SELECT 'policy', r.relname, p.polname, ARRAY[
        ['kind', CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END], ['command', p.polcmd::text],
        ['roles', (SELECT string_agg(CASE role WHEN 0 THEN 'public' ELSE pg_get_userbyid(role) END, ', ' ORDER BY role)
                   FROM unnest(p.polroles) AS role)],
        ['using', pg_get_expr(p.polqual, p.polrelid)], ['with check', pg_get_expr(p.polwithcheck, p.polrelid)]]
    FROM pg_policy p JOIN tables r ON r.oid = p.polrelid
    UNION ALL
    SELECT 'sequence', NULL, r.relname, ARRAY[
        ['type', format_type(s.seqtypid, NULL)],
        ['range', s.seqstart || ' from ' || s.seqmin || ' to ' || s.seqmax || ' by ' || s.seqincrement],
        ['cache', s.seqcache::text], ['cycle', CASE WHEN s.seqcycle THEN 'yes' END],
        ['owned by', (SELECT d.refobjid::regclass || '.' || a.attname FROM pg_depend d
                      JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype IN ('a', 'i')
                        AND d.refclassid = 'pg_class'::regclass)],
        ['owner', pg_get_userbyid(r.relowner)], ['grants', array_to_string(r.relacl, ', ')],
        ['comment', obj_description(r.oid, 'pg_class')]]
    FROM relations r JOIN pg_sequence s ON s.seqrelid = r.oid
    UNION ALL
    SELECT 'function', NULL, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', ARRAY[
        ['kind', CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' WHEN 'w' THEN 'window' ELSE 'function' END],
        ['arguments', pg_get_function_arguments(p.oid)], ['result', pg_get_function_result(p.oid)],
        ['language', l.lanname],
        ['body', coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)],
        ['behaviour', concat_ws(', ',
            CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
            CASE WHEN p.proisstrict THEN 'strict' END, CASE WHEN p.prosecdef THEN 'security definer' END,
            CASE WHEN p.proleakproof THEN 'leakproof' END,
            CASE p.proparallel WHEN 's' THEN 'parallel safe' WHEN 'r' THEN 'parallel restricted' END)],
        ['settings', array_to_string(p.proconfig, ', ')],
        ['owner', pg_get_userbyid(p.proowner)], ['grants', array_to_string(p.proacl, ', ')],
        ['comment', obj_description(p.oid, 'pg_proc')]]
    FROM pg_proc p JOIN own ON own.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE (p.tableoid, p.oid) NOT IN (SELECT classid, objid FROM members)
    UNION ALL
    SELECT 'type', NULL, t.typname, ARRAY[
        ['kind', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite' ELSE 'range' END],
        ['labels', (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid)],
        ['base type', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END],
        ['not null', CASE WHEN t.typnotnull THEN 'yes' END], ['default', t.typdefault],
        ['constraints', (SELECT string_agg(k.conname || ' ' || pg_get_constraintdef(k.oid, true), ', ' ORDER BY k.conname)
                         FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype <> 'n')],
        ['attributes', (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
                        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)],
        ['subtype', (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid)],
        ['owner', pg_get_userbyid(t.typowner)], ['grants', array_to_string(t.typacl, ', ')],
        ['comment', obj_description(t.oid, 'pg_type')]]
    FROM pg_type t JOIN own ON own.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
    -- The row types of tables and the array types follow from others.
    WHERE (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
      AND (t.tableoid, t.oid) NOT IN (SELECT classid, objid FROM members)
)
SELECT objects.kind, objects.parent::text, objects.name::text, properties[i][1], properties[i][2]
FROM objects CROSS JOIN LATERAL generate_subscripts(properties, 1) AS i
WHERE i = 1 OR nullif(properties[i][2], '') IS NOT NULL

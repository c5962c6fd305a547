//! Stand-ins for the tables of the other teams in `public`, and a footprint that shows whether anybody touched them.

use migration_testing::Scratch;

/// The forum's and the AI manager's tables; `vector(1536)` stands as `real[]`. The generic trigger function is in use.
const STATEMENTS: [&str; 15] = [
    "CREATE TABLE public.users (id SERIAL PRIMARY KEY, username VARCHAR(100) NOT NULL UNIQUE, email TEXT, updated_at TIMESTAMP)",
    "CREATE TABLE public.topics (id SERIAL PRIMARY KEY, title TEXT NOT NULL, user_id INT REFERENCES public.users)",
    "CREATE TABLE public.messages (id SERIAL PRIMARY KEY, content TEXT NOT NULL, author_name TEXT, \
     topic_id INT REFERENCES public.topics, user_id INT REFERENCES public.users, parent_id INT REFERENCES public.messages)",
    "CREATE TABLE public.embeddings (id SERIAL PRIMARY KEY, content TEXT NOT NULL, embedding REAL[], metadata JSONB, \
     created_at TIMESTAMP DEFAULT now())",
    "CREATE TABLE public.message_embeddings (id SERIAL PRIMARY KEY, message_id INT NOT NULL, topic_id INT NOT NULL, \
     content TEXT NOT NULL, embedding REAL[], metadata JSONB, created_at TIMESTAMP DEFAULT now())",
    "CREATE TABLE public.alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
    "CREATE FUNCTION public.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS \
     'BEGIN NEW.updated_at = CURRENT_TIMESTAMP; RETURN NEW; END'",
    "CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON public.users FOR EACH ROW \
     EXECUTE FUNCTION public.update_updated_at_column()",
    "CREATE INDEX ix_users_email ON public.users (email)",
    "INSERT INTO public.users (username, email) SELECT 'user' || n, n || '@example.org' FROM generate_series(1, 500) AS n",
    "INSERT INTO public.topics (title, user_id) SELECT 'topic ' || n, n FROM generate_series(1, 100) AS n",
    "INSERT INTO public.messages (content, topic_id, user_id) \
     SELECT 'message ' || n, 1 + n % 100, 1 + n % 500 FROM generate_series(1, 2000) AS n",
    "INSERT INTO public.embeddings (content, embedding) SELECT 'text ' || n, ARRAY[n, n / 2.0]::real[] FROM generate_series(1, 500) AS n",
    "INSERT INTO public.message_embeddings (message_id, topic_id, content, embedding) \
     SELECT n, 1, 'text ' || n, ARRAY[n]::real[] FROM generate_series(1, 500) AS n",
    "INSERT INTO public.alembic_version VALUES ('the_forums_own')",
];

/// `user_knowledge` as the old project's script made it, in `public`, with the generic function under its trigger.
const OLD_TABLE: [&str; 3] = [
    "CREATE TABLE IF NOT EXISTS public.user_knowledge (
         id UUID PRIMARY KEY DEFAULT gen_random_uuid(), user_id VARCHAR(50) UNIQUE NOT NULL, name VARCHAR(100) NOT NULL,
         personality TEXT, background TEXT, expertise JSONB, communication_style TEXT, preferences JSONB,
         file_path VARCHAR(255), created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)",
    "CREATE INDEX IF NOT EXISTS ix_user_knowledge_user_id ON public.user_knowledge (user_id)",
    "CREATE TRIGGER update_user_knowledge_updated_at BEFORE UPDATE ON public.user_knowledge FOR EACH ROW \
     EXECUTE FUNCTION public.update_updated_at_column()",
];

/// Creates what the other teams have.
pub(crate) async fn create(scratch: &Scratch) {
    for statement in STATEMENTS {
        scratch.execute(statement).await;
    }
}

/// Creates the table that the old project left in `public`.
pub(crate) async fn create_old_table(scratch: &Scratch) {
    for statement in OLD_TABLE {
        scratch.execute(statement).await;
    }
}

/// Every row of every catalog that describes the other teams' objects in `public`, with the transaction that wrote it, and
/// every row of their tables with the same. Two equal footprints mean: nobody touched anything in between, not even to
/// write what was there before.
pub(crate) async fn footprint(scratch: &Scratch) -> Vec<String> {
    let mut footprint = scratch
        .rows(
            "WITH theirs AS (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace \
             AND relname !~ 'user_knowledge|_rag' ) \
             SELECT 'class', oid, xmin, relfilenode FROM pg_class WHERE oid IN (TABLE theirs) \
             UNION ALL SELECT 'column', attrelid, xmin, attnum FROM pg_attribute WHERE attrelid IN (TABLE theirs) \
             UNION ALL SELECT 'index', indexrelid, xmin, 0 FROM pg_index WHERE indrelid IN (TABLE theirs) \
             UNION ALL SELECT 'constraint', oid, xmin, 0 FROM pg_constraint WHERE conrelid IN (TABLE theirs) \
             UNION ALL SELECT 'trigger', oid, xmin, 0 FROM pg_trigger WHERE tgrelid IN (TABLE theirs) \
             UNION ALL SELECT 'function', oid, xmin, 0 FROM pg_proc WHERE pronamespace = 'public'::regnamespace \
             AND proname !~ 'user_knowledge' ORDER BY 1, 2, 4",
        )
        .await;
    for table in ["users", "topics", "messages", "embeddings", "message_embeddings", "alembic_version"] {
        let rows = format!(
            "SELECT '{table}', md5(string_agg(t.xmin || t::text, E'\\n' ORDER BY t::text)) FROM public.{table} AS t"
        );
        footprint.extend(scratch.rows(&rows).await);
    }
    assert!(footprint.len() > 100, "the stand-ins are there");
    footprint
}

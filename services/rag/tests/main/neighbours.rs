//! The service in a schema of its own, in a database where other teams' tables fill `public`.

use migration_testing::Scratch;
use rag_migration::service;

use crate::other_teams;

#[tokio::test]
async fn other_teams_tables_stay_untouched() {
    let scratch = Scratch::new(service()).await;
    other_teams::create(&scratch).await;
    other_teams::create_old_table(&scratch).await;
    scratch.execute("INSERT INTO public.user_knowledge (user_id, name) VALUES ('theirs', 'not ours')").await;
    let before = other_teams::footprint(&scratch).await;
    let theirs = "SELECT xmin, * FROM public.user_knowledge";
    let row = scratch.rows(theirs).await;

    scratch.up().await;
    scratch.verify().await;
    scratch.execute("INSERT INTO user_knowledge (user_id, name) VALUES ('ours', 'ours')").await;
    assert_eq!(scratch.rows("SELECT user_id FROM rag.user_knowledge").await, ["ours"]);
    scratch.down_to("base").await;
    scratch.up().await;

    assert_eq!(other_teams::footprint(&scratch).await, before);
    assert_eq!(scratch.rows(theirs).await, row);
    assert_eq!(scratch.rows("SELECT version_num FROM public.alembic_version").await, ["the_forums_own"]);
}

#[tokio::test]
async fn the_function_is_the_services_own() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    let functions = "SELECT pronamespace::regnamespace, proname FROM pg_proc \
                     WHERE pronamespace IN ('rag'::regnamespace, 'public'::regnamespace) ORDER BY 1, 2";
    assert_eq!(scratch.rows(functions).await, ["rag|user_knowledge_set_updated_at"]);
    scratch.down_to("base").await;
    assert_eq!(scratch.rows(functions).await, [""; 0]);
}

INSERT INTO rag.user_knowledge (id, user_id, name, expertise, created_at, updated_at)
SELECT md5(i::text)::uuid, 'user' || i, 'User ' || i, '["sql"]', '2025-07-27', '2025-07-27' FROM generate_series(1, 2000) AS i;

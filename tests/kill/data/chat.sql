INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at)
SELECT i % 50, i % 50, CASE i % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'message ' || i, 10, '2025-10-16'::timestamp + i * interval '1 minute'
FROM generate_series(1, 4000) AS i;
INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at)
VALUES (1, 1, 'system', 'of an unknown role', 3, '2025-10-16'), (2, 2, 'user', 'shorter than nothing', -1, '2025-10-16');

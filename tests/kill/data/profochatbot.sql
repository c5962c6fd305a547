INSERT INTO profochatbot.course (course_id, bot_name, creator_id, date_created, yaml)
SELECT 'course-' || i, 'bot-' || i % 7, i, '2024-01-01', 'title: ' || i FROM generate_series(1, 60) AS i;
INSERT INTO profochatbot.course (course_id, bot_name, creator_id, date_created, yaml)
VALUES ('course-1', 'bot-6', 1, '2024-01-02', 'title: a copy'), ('course-2', 'bot-5', 2, '2024-01-02', 'title: 2');
INSERT INTO profochatbot.course_element (element_id, json, element_type, course_id, bot_name)
SELECT 'element-' || i, '{}', 'text', 'course-' || 1 + i % 62, 'bot-' || (1 + i % 62) % 7 FROM generate_series(1, 500) AS i;
INSERT INTO profochatbot.run (chat_id, username, botname, course_id, date_inserted, is_ended)
SELECT i % 900, 'user' || i % 900, CASE WHEN i % 50 = 0 THEN NULL ELSE 'bot-' || i % 7 END, 'course-' || 1 + i % 61, '2024-02-01'::timestamp + i * interval '1 minute', i % 3 = 0
FROM generate_series(1, 3000) AS i;
INSERT INTO profochatbot.conversation (chat_id, username, course_id, element_id, element_type, role, json, report, score, maxscore, date_inserted, run_id)
SELECT i % 900, 'user' || i % 900, 'course-' || 1 + i % 61, 'element-1', 'text', 'user', '{"a":1}', NULL, 0.5, 1, '2024-03-01', 1 + i % 3050
FROM generate_series(1, 5000) AS i;
INSERT INTO profochatbot.waiting_element (chat_id, waiting_till_date, is_waiting, element_id, course_id, botname)
SELECT i % 900, '2024-04-01', i % 2 = 0, 'element-1', 'course-' || 1 + i % 61, CASE WHEN i % 40 = 0 THEN 'bot-unseen' ELSE 'bot-' || i % 7 END FROM generate_series(1, 400) AS i;
INSERT INTO profochatbot.courseparticipants (course_id, username) SELECT 'course-' || 1 + i % 62, 'user' || i % 200 FROM generate_series(1, 600) AS i;
INSERT INTO profochatbot.bannedparticipants (botname, chat_id, banned_at, ban_reason, excluded) SELECT 'bot-' || i % 7, i % 60, '2024-05-01', 'spam', 0 FROM generate_series(1, 200) AS i;
INSERT INTO profochatbot.gen_settings (id, bot_name, s_key, s_value) SELECT i, 'bot-' || i % 7, 'key' || i % 3, 'value' FROM generate_series(1, 30) AS i;

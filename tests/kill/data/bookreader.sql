INSERT INTO bookreader.users (id, email, password_hash, is_active, is_verified, is_admin, created_at, updated_at, reader_settings)
SELECT md5(i::text)::uuid, 'user' || i || '@example.org', 'x', true, true, false, '2025-08-01', '2025-08-01',
       (CASE i % 8
         WHEN 0 THEN NULL
         WHEN 1 THEN '{"theme": 7, "language": "a language that is too long"}'
         WHEN 2 THEN '"a scalar"'
         WHEN 3 THEN '{"theme": "dark", "notifications": "yes"}'
         ELSE '{"theme": "sepia", "language": "en", "notifications": false, "fontSize": 12}'
       END)::json
FROM generate_series(1, 4000) AS i;
INSERT INTO bookreader.books (id, user_id, title, genre, language, file_path, file_format, file_size, total_pages, estimated_reading_time, is_parsed, parsing_progress, created_at, updated_at)
SELECT md5('book' || i)::uuid, md5(i::text)::uuid, 'Книга ' || i, 'novel', 'ru', '/books/' || i, 'epub', 1, 1, 1, i % 2 = 0, 0, '2025-08-01', '2025-08-01'
FROM generate_series(1, 2000) AS i;
INSERT INTO bookreader.reading_progress (id, user_id, book_id, current_chapter, current_page, current_position, reading_time_minutes, reading_speed_wpm, created_at, updated_at, last_read_at)
SELECT md5('progress' || i)::uuid, md5(i::text)::uuid, md5('book' || i)::uuid, 1, 1, 1, 1, 200, '2025-08-01', '2025-08-01', '2025-08-01'
FROM generate_series(1, 2000) AS i;

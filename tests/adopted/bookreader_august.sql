ALTER TABLE books ADD COLUMN rating FLOAT;
CREATE INDEX idx_books_rating ON books (rating);
CREATE INDEX idx_books_high_rating ON books (rating) WHERE rating >= 4.0;
CREATE TABLE user_preferences (
    id UUID NOT NULL, user_id UUID NOT NULL, theme VARCHAR(20) DEFAULT 'light' NOT NULL,
    language VARCHAR(10) DEFAULT 'ru' NOT NULL, notifications_enabled BOOLEAN DEFAULT true NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(), updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT uq_user_preferences_user_id UNIQUE (user_id));
INSERT INTO user_preferences (id, user_id, theme, language, notifications_enabled)
SELECT gen_random_uuid(), id, COALESCE(reader_settings ->> 'theme', 'light'), 'ru', true FROM users;
ALTER TABLE users DROP COLUMN reader_settings;
CREATE INDEX idx_books_user_created ON books USING btree (user_id, created_at);
CREATE INDEX idx_descriptions_chapter_priority ON descriptions USING btree (chapter_id, priority_score);
CREATE INDEX idx_books_unparsed ON books (user_id, created_at) WHERE is_parsed = false;
CREATE INDEX idx_images_completed ON generated_images (description_id, created_at) WHERE status = 'completed';
CREATE INDEX idx_books_fulltext ON books USING gin (to_tsvector('russian', title || ' ' || COALESCE(author, '')));
ALTER TABLE generated_images SET (autovacuum_vacuum_scale_factor = 0.1);
ALTER TABLE reading_progress SET (autovacuum_vacuum_scale_factor = 0.05);

-- As SQLAlchemy's models and the Alembic revisions before August made them: no default of an id, and no cascade.
CREATE TYPE descriptiontype AS ENUM ('LOCATION', 'CHARACTER', 'ATMOSPHERE', 'OBJECT', 'ACTION');
CREATE TYPE subscriptionplan AS ENUM ('FREE', 'PREMIUM', 'ULTIMATE');
CREATE TYPE subscriptionstatus AS ENUM ('ACTIVE', 'EXPIRED', 'CANCELLED', 'PENDING');
CREATE TABLE users (
    id UUID NOT NULL, email VARCHAR(255) NOT NULL, password_hash VARCHAR(255) NOT NULL, full_name VARCHAR(255),
    is_active BOOLEAN NOT NULL, is_verified BOOLEAN NOT NULL, is_admin BOOLEAN NOT NULL, reader_settings JSON,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    last_login TIMESTAMP WITH TIME ZONE, PRIMARY KEY (id));
CREATE UNIQUE INDEX ix_users_email ON users (email);
CREATE INDEX ix_users_id ON users (id);
CREATE TABLE books (
    id UUID NOT NULL, user_id UUID NOT NULL, title VARCHAR(500) NOT NULL, author VARCHAR(255), genre VARCHAR(50) NOT NULL,
    language VARCHAR(10) NOT NULL, file_path VARCHAR(1000) NOT NULL, file_format VARCHAR(10) NOT NULL, file_size INTEGER NOT NULL,
    cover_image VARCHAR(1000), description TEXT, book_metadata JSON, total_pages INTEGER NOT NULL,
    estimated_reading_time INTEGER NOT NULL, is_parsed BOOLEAN NOT NULL, parsing_progress INTEGER NOT NULL, parsing_error TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP NOT NULL, last_accessed TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES users (id));
CREATE INDEX ix_books_author ON books (author);
CREATE INDEX ix_books_id ON books (id);
CREATE INDEX ix_books_title ON books (title);
CREATE INDEX ix_books_user_id ON books (user_id);
CREATE TABLE subscriptions (
    id UUID NOT NULL, user_id UUID NOT NULL, plan subscriptionplan NOT NULL, status subscriptionstatus NOT NULL,
    start_date TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, end_date TIMESTAMP WITH TIME ZONE, auto_renewal BOOLEAN NOT NULL,
    books_uploaded INTEGER NOT NULL, images_generated_month INTEGER NOT NULL,
    last_reset_date TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES users (id));
CREATE INDEX ix_subscriptions_id ON subscriptions (id);
CREATE INDEX ix_subscriptions_user_id ON subscriptions (user_id);
CREATE TABLE chapters (
    id UUID NOT NULL, book_id UUID NOT NULL, chapter_number INTEGER NOT NULL, title VARCHAR(500), content TEXT NOT NULL,
    html_content TEXT, word_count INTEGER NOT NULL, estimated_reading_time INTEGER NOT NULL,
    is_description_parsed BOOLEAN NOT NULL, descriptions_found INTEGER NOT NULL, parsing_progress INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    parsed_at TIMESTAMP WITH TIME ZONE, PRIMARY KEY (id), FOREIGN KEY (book_id) REFERENCES books (id));
CREATE INDEX ix_chapters_book_id ON chapters (book_id);
CREATE INDEX ix_chapters_chapter_number ON chapters (chapter_number);
CREATE INDEX ix_chapters_id ON chapters (id);
CREATE TABLE reading_progress (
    id UUID NOT NULL, user_id UUID NOT NULL, book_id UUID NOT NULL, current_chapter INTEGER NOT NULL,
    current_page INTEGER NOT NULL, current_position INTEGER NOT NULL, reading_time_minutes INTEGER NOT NULL,
    reading_speed_wpm FLOAT NOT NULL, created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, last_read_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES users (id), FOREIGN KEY (book_id) REFERENCES books (id));
CREATE INDEX ix_reading_progress_book_id ON reading_progress (book_id);
CREATE INDEX ix_reading_progress_id ON reading_progress (id);
CREATE INDEX ix_reading_progress_user_id ON reading_progress (user_id);
CREATE TABLE descriptions (
    id UUID NOT NULL, chapter_id UUID NOT NULL, type descriptiontype NOT NULL, content TEXT NOT NULL, context TEXT,
    confidence_score FLOAT NOT NULL, position_in_chapter INTEGER NOT NULL, word_count INTEGER NOT NULL,
    is_suitable_for_generation BOOLEAN NOT NULL, priority_score FLOAT NOT NULL, entities_mentioned TEXT,
    emotional_tone VARCHAR(50), complexity_level VARCHAR(20), image_generated BOOLEAN NOT NULL,
    generation_requested BOOLEAN NOT NULL, created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, PRIMARY KEY (id), FOREIGN KEY (chapter_id) REFERENCES chapters (id));
CREATE INDEX ix_descriptions_chapter_id ON descriptions (chapter_id);
CREATE INDEX ix_descriptions_id ON descriptions (id);
CREATE INDEX ix_descriptions_type ON descriptions (type);
CREATE TABLE generated_images (
    id UUID NOT NULL, description_id UUID NOT NULL, user_id UUID NOT NULL, service_used VARCHAR(50) NOT NULL,
    status VARCHAR(20) NOT NULL, image_url VARCHAR(2000), local_path VARCHAR(1000), prompt_used TEXT NOT NULL,
    generation_parameters JSON, generation_time_seconds FLOAT, file_size INTEGER, image_width INTEGER, image_height INTEGER,
    file_format VARCHAR(10), quality_score FLOAT, is_moderated BOOLEAN NOT NULL, moderation_result JSON, moderation_notes TEXT,
    view_count INTEGER NOT NULL, download_count INTEGER NOT NULL, error_message TEXT, retry_count INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    generated_at TIMESTAMP WITH TIME ZONE, PRIMARY KEY (id), FOREIGN KEY (description_id) REFERENCES descriptions (id),
    FOREIGN KEY (user_id) REFERENCES users (id));
CREATE INDEX ix_generated_images_description_id ON generated_images (description_id);
CREATE INDEX ix_generated_images_id ON generated_images (id);
CREATE INDEX ix_generated_images_service_used ON generated_images (service_used);
CREATE INDEX ix_generated_images_status ON generated_images (status);
CREATE INDEX ix_generated_images_user_id ON generated_images (user_id);
INSERT INTO users (id, email, password_hash, is_active, is_verified, is_admin, reader_settings)
SELECT gen_random_uuid(), n || '@example.org', '', true, true, false, '{"theme": "dark"}' FROM generate_series(1, 20) AS n;

-- Generated from the migrations. Commit it with them; do not edit it by hand.
-- The schema of `bookreader` after all its migrations, contract steps included.
-- As pg_dump writes it for PostgreSQL 15.

CREATE SCHEMA bookreader;
CREATE TYPE bookreader.descriptiontype AS ENUM (
    'LOCATION',
    'CHARACTER',
    'ATMOSPHERE',
    'OBJECT',
    'ACTION'
);
CREATE TYPE bookreader.subscriptionplan AS ENUM (
    'FREE',
    'PREMIUM',
    'ULTIMATE'
);
CREATE TYPE bookreader.subscriptionstatus AS ENUM (
    'ACTIVE',
    'EXPIRED',
    'CANCELLED',
    'PENDING'
);
CREATE TABLE bookreader.books (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    title character varying(500) NOT NULL,
    author character varying(255),
    genre character varying(50) NOT NULL,
    language character varying(10) NOT NULL,
    file_path character varying(1000) NOT NULL,
    file_format character varying(10) NOT NULL,
    file_size integer NOT NULL,
    cover_image character varying(1000),
    description text,
    book_metadata json,
    total_pages integer NOT NULL,
    estimated_reading_time integer NOT NULL,
    is_parsed boolean NOT NULL,
    parsing_progress integer NOT NULL,
    parsing_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    last_accessed timestamp with time zone,
    rating double precision
);
CREATE TABLE bookreader.chapters (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    book_id uuid NOT NULL,
    chapter_number integer NOT NULL,
    title character varying(500),
    content text NOT NULL,
    html_content text,
    word_count integer NOT NULL,
    estimated_reading_time integer NOT NULL,
    is_description_parsed boolean NOT NULL,
    descriptions_found integer NOT NULL,
    parsing_progress integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    parsed_at timestamp with time zone
);
CREATE TABLE bookreader.descriptions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    chapter_id uuid NOT NULL,
    type bookreader.descriptiontype NOT NULL,
    content text NOT NULL,
    context text,
    confidence_score double precision NOT NULL,
    position_in_chapter integer NOT NULL,
    word_count integer NOT NULL,
    is_suitable_for_generation boolean NOT NULL,
    priority_score double precision NOT NULL,
    entities_mentioned text,
    emotional_tone character varying(50),
    complexity_level character varying(20),
    image_generated boolean NOT NULL,
    generation_requested boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE bookreader.generated_images (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    description_id uuid NOT NULL,
    user_id uuid NOT NULL,
    service_used character varying(50) NOT NULL,
    status character varying(20) NOT NULL,
    image_url character varying(2000),
    local_path character varying(1000),
    prompt_used text NOT NULL,
    generation_parameters json,
    generation_time_seconds double precision,
    file_size integer,
    image_width integer,
    image_height integer,
    file_format character varying(10),
    quality_score double precision,
    is_moderated boolean NOT NULL,
    moderation_result json,
    moderation_notes text,
    view_count integer NOT NULL,
    download_count integer NOT NULL,
    error_message text,
    retry_count integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    generated_at timestamp with time zone
)
WITH (autovacuum_vacuum_scale_factor='0.1');
CREATE TABLE bookreader.reading_progress (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    book_id uuid NOT NULL,
    current_chapter integer NOT NULL,
    current_page integer NOT NULL,
    current_position integer NOT NULL,
    reading_time_minutes integer NOT NULL,
    reading_speed_wpm double precision NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    last_read_at timestamp with time zone DEFAULT now() NOT NULL,
    reading_location_cfi character varying(500),
    scroll_offset_percent double precision DEFAULT 0.0 NOT NULL,
    CONSTRAINT check_scroll_offset_range CHECK (((scroll_offset_percent >= (0.0)::double precision) AND (scroll_offset_percent <= (100.0)::double precision)))
)
WITH (autovacuum_vacuum_scale_factor='0.05');
COMMENT ON COLUMN bookreader.reading_progress.reading_location_cfi IS 'EPUB CFI for exact position tracking in epub.js';
COMMENT ON COLUMN bookreader.reading_progress.scroll_offset_percent IS 'Scroll offset within page (0-100%) for pixel-perfect positioning';
CREATE TABLE bookreader.subscriptions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    plan bookreader.subscriptionplan NOT NULL,
    status bookreader.subscriptionstatus NOT NULL,
    start_date timestamp with time zone DEFAULT now() NOT NULL,
    end_date timestamp with time zone,
    auto_renewal boolean NOT NULL,
    books_uploaded integer NOT NULL,
    images_generated_month integer NOT NULL,
    last_reset_date timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE bookreader.user_preferences (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    theme character varying(20) DEFAULT 'light'::character varying NOT NULL,
    language character varying(10) DEFAULT 'ru'::character varying NOT NULL,
    notifications_enabled boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now()
);
CREATE TABLE bookreader.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    email character varying(255) NOT NULL,
    password_hash character varying(255) NOT NULL,
    full_name character varying(255),
    is_active boolean NOT NULL,
    is_verified boolean NOT NULL,
    is_admin boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    last_login timestamp with time zone
);
ALTER TABLE ONLY bookreader.books
    ADD CONSTRAINT books_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bookreader.chapters
    ADD CONSTRAINT chapters_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bookreader.descriptions
    ADD CONSTRAINT descriptions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bookreader.generated_images
    ADD CONSTRAINT generated_images_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bookreader.reading_progress
    ADD CONSTRAINT reading_progress_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bookreader.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bookreader.user_preferences
    ADD CONSTRAINT uq_user_preferences_user_id UNIQUE (user_id);
ALTER TABLE ONLY bookreader.user_preferences
    ADD CONSTRAINT user_preferences_pkey PRIMARY KEY (id);
ALTER TABLE ONLY bookreader.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX idx_books_fulltext ON bookreader.books USING gin (to_tsvector('russian'::regconfig, (((title)::text || ' '::text) || (COALESCE(author, ''::character varying))::text)));
CREATE INDEX idx_books_high_rating ON bookreader.books USING btree (rating) WHERE (rating >= (4.0)::double precision);
CREATE INDEX idx_books_rating ON bookreader.books USING btree (rating);
CREATE INDEX idx_books_unparsed ON bookreader.books USING btree (user_id, created_at) WHERE (is_parsed = false);
CREATE INDEX idx_books_user_created ON bookreader.books USING btree (user_id, created_at);
CREATE INDEX idx_descriptions_chapter_priority ON bookreader.descriptions USING btree (chapter_id, priority_score);
CREATE INDEX idx_images_completed ON bookreader.generated_images USING btree (description_id, created_at) WHERE ((status)::text = 'completed'::text);
CREATE INDEX idx_reading_progress_cfi ON bookreader.reading_progress USING btree (book_id, user_id, reading_location_cfi);
CREATE INDEX ix_books_author ON bookreader.books USING btree (author);
CREATE INDEX ix_books_id ON bookreader.books USING btree (id);
CREATE INDEX ix_books_title ON bookreader.books USING btree (title);
CREATE INDEX ix_books_user_id ON bookreader.books USING btree (user_id);
CREATE INDEX ix_chapters_book_id ON bookreader.chapters USING btree (book_id);
CREATE INDEX ix_chapters_chapter_number ON bookreader.chapters USING btree (chapter_number);
CREATE INDEX ix_chapters_id ON bookreader.chapters USING btree (id);
CREATE INDEX ix_descriptions_chapter_id ON bookreader.descriptions USING btree (chapter_id);
CREATE INDEX ix_descriptions_id ON bookreader.descriptions USING btree (id);
CREATE INDEX ix_descriptions_type ON bookreader.descriptions USING btree (type);
CREATE INDEX ix_generated_images_description_id ON bookreader.generated_images USING btree (description_id);
CREATE INDEX ix_generated_images_id ON bookreader.generated_images USING btree (id);
CREATE INDEX ix_generated_images_service_used ON bookreader.generated_images USING btree (service_used);
CREATE INDEX ix_generated_images_status ON bookreader.generated_images USING btree (status);
CREATE INDEX ix_generated_images_user_id ON bookreader.generated_images USING btree (user_id);
CREATE INDEX ix_reading_progress_book_id ON bookreader.reading_progress USING btree (book_id);
CREATE INDEX ix_reading_progress_id ON bookreader.reading_progress USING btree (id);
CREATE INDEX ix_reading_progress_user_id ON bookreader.reading_progress USING btree (user_id);
CREATE INDEX ix_subscriptions_id ON bookreader.subscriptions USING btree (id);
CREATE INDEX ix_subscriptions_user_id ON bookreader.subscriptions USING btree (user_id);
CREATE UNIQUE INDEX ix_users_email ON bookreader.users USING btree (email);
CREATE INDEX ix_users_id ON bookreader.users USING btree (id);
ALTER TABLE ONLY bookreader.books
    ADD CONSTRAINT books_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookreader.users(id);
ALTER TABLE ONLY bookreader.chapters
    ADD CONSTRAINT chapters_book_id_fkey FOREIGN KEY (book_id) REFERENCES bookreader.books(id);
ALTER TABLE ONLY bookreader.descriptions
    ADD CONSTRAINT descriptions_chapter_id_fkey FOREIGN KEY (chapter_id) REFERENCES bookreader.chapters(id);
ALTER TABLE ONLY bookreader.generated_images
    ADD CONSTRAINT generated_images_description_id_fkey FOREIGN KEY (description_id) REFERENCES bookreader.descriptions(id);
ALTER TABLE ONLY bookreader.generated_images
    ADD CONSTRAINT generated_images_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookreader.users(id);
ALTER TABLE ONLY bookreader.reading_progress
    ADD CONSTRAINT reading_progress_book_id_fkey FOREIGN KEY (book_id) REFERENCES bookreader.books(id);
ALTER TABLE ONLY bookreader.reading_progress
    ADD CONSTRAINT reading_progress_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookreader.users(id);
ALTER TABLE ONLY bookreader.subscriptions
    ADD CONSTRAINT subscriptions_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookreader.users(id);
ALTER TABLE ONLY bookreader.user_preferences
    ADD CONSTRAINT user_preferences_user_id_fkey FOREIGN KEY (user_id) REFERENCES bookreader.users(id) ON DELETE CASCADE;

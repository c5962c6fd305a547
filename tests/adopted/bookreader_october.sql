ALTER TABLE reading_progress ADD COLUMN reading_location_cfi VARCHAR(500);
COMMENT ON COLUMN reading_progress.reading_location_cfi IS 'EPUB CFI for exact position tracking in epub.js';
CREATE INDEX idx_reading_progress_cfi ON reading_progress USING btree (book_id, user_id, reading_location_cfi);
ALTER TABLE reading_progress ADD COLUMN scroll_offset_percent FLOAT DEFAULT '0.0' NOT NULL;
ALTER TABLE reading_progress ADD CONSTRAINT check_scroll_offset_range
    CHECK (scroll_offset_percent >= 0.0 AND scroll_offset_percent <= 100.0);

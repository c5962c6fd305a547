ALTER TABLE messages ADD COLUMN source VARCHAR(20) DEFAULT 'telegram' NOT NULL;
CREATE INDEX idx_messages_source ON messages (source);

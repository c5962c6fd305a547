CREATE TABLE messages (
    id SERIAL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    chat_id BIGINT NOT NULL,
    role VARCHAR(20) NOT NULL,
    content TEXT NOT NULL,
    message_length INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    deleted_at TIMESTAMP NULL
);
CREATE INDEX idx_user_chat_deleted ON messages (user_id, chat_id, deleted_at);
CREATE INDEX idx_deleted_at ON messages (deleted_at) WHERE deleted_at IS NULL;
INSERT INTO messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, 'user', 'text', 4);
